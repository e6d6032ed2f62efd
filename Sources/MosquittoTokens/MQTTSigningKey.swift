import FoundationEssentials
import JWTKit
public import Mosquitto

/// A private key that signs tokens, or a secret that both sides share.
public struct MQTTSigningKey: Sendable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// The `alg` of the token (RFC 7518, section 3.1; EdDSA with Ed25519: RFC 8037).
    public enum Algorithm: String, Sendable, Hashable, CaseIterable {
        case es256 = "ES256"
        case es384 = "ES384"
        case rs256 = "RS256"
        case ps256 = "PS256"
        case edDSA = "EdDSA"
        /// With a secret of at least 32 bytes instead of a key.
        case hs256 = "HS256"
    }

    private enum Material: Sendable {
        case memory(MQTTSecret)
        case file(String)
    }

    public let algorithm: Algorithm
    private let material: Material

    /// A private key in PEM; for ``Algorithm/hs256`` the secret itself.
    public static func pem(_ text: MQTTSecret, _ algorithm: Algorithm) -> MQTTSigningKey {
        MQTTSigningKey(algorithm: algorithm, material: .memory(text))
    }

    /// The same from a file, which is read for each token: a key can be replaced while the client runs. Of a secret one
    /// trailing newline is left out.
    public static func file(_ path: String, _ algorithm: Algorithm) -> MQTTSigningKey {
        MQTTSigningKey(algorithm: algorithm, material: .file(path))
    }

    public var description: String { "\(algorithm.rawValue) key (redacted)" }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: ["algorithm": algorithm.rawValue]) }

    /// Signs a token.
    func sign(_ payload: some JWTPayload, keyID: String?) async throws -> String {
        let keys = JWTKeyCollection()
        try await add(to: keys)
        var header = JWTHeader()
        header.typ = "JWT"
        if let keyID { header.kid = keyID }
        do {
            return try await keys.sign(payload, header: header)
        } catch {
            throw MQTTCredentialError.permanent("a token could not be signed with the \(self)")
        }
    }

    private func add(to keys: JWTKeyCollection) async throws {
        let text: String
        switch material {
        case .memory(let secret): text = secret.text
        case .file(let path):
            guard let data = FileManager.default.contents(atPath: path), data.count <= 65_536 else {
                throw MQTTCredentialError.transient("the key file \"\(path)\" cannot be read")
            }
            text = String(decoding: data, as: UTF8.self)
        }
        do {
            switch algorithm {
            case .es256: await keys.add(ecdsa: try ES256PrivateKey(pem: text))
            case .es384: await keys.add(ecdsa: try ES384PrivateKey(pem: text))
            case .rs256: await keys.add(rsa: try Insecure.RSA.PrivateKey(pem: text), digestAlgorithm: .sha256)
            case .ps256: await keys.add(pss: try Insecure.RSA.PrivateKey(pem: text), digestAlgorithm: .sha256)
            case .edDSA: await keys.add(eddsa: try EdDSA.PrivateKey(pem: text))
            case .hs256:
                let secret = text.hasSuffix("\n") ? String(text.dropLast()) : text
                // RFC 7518, section 3.2.
                guard secret.utf8.count >= 32 else { throw MQTTCredentialError.permanent("the secret is too short") }
                await keys.add(hmac: HMACKey(from: secret), digestAlgorithm: .sha256)
            }
        } catch {
            let message = "the \(algorithm.rawValue) key cannot be used; is it PEM, unencrypted and of this kind?"
            // A file may be just being replaced.
            if case .file = material { throw MQTTCredentialError.transient(message) }
            throw MQTTCredentialError.permanent(message)
        }
    }
}

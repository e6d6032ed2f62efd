// SPDX-License-Identifier: Apache-2.0

import JWTKit
public import Mosquitto

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// A private key that signs tokens, or a secret that both sides share. Its description, mirror and dump show neither.
public struct MQTTSigningKey: Sendable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// The `alg` of the token (RFC 7518, section 3.1; EdDSA with Ed25519: RFC 8037).
    public enum Algorithm: String, Sendable, Hashable, CaseIterable {
        /// ECDSA with P-256 and SHA-256.
        case es256 = "ES256"
        /// ECDSA with P-384 and SHA-384.
        case es384 = "ES384"
        /// RSASSA-PKCS1-v1_5 with SHA-256; a key of 2,048 bits or more.
        case rs256 = "RS256"
        /// RSASSA-PSS with SHA-256; a key of 2,048 bits or more.
        case ps256 = "PS256"
        /// Ed25519.
        case edDSA = "EdDSA"
        /// HMAC with SHA-256: a secret of at least 32 bytes instead of a key.
        case hs256 = "HS256"
    }

    private enum Material: Sendable {
        case memory([UInt8])
        case file(String)
    }

    /// The signature algorithm.
    public let algorithm: Algorithm
    private let material: Material

    /// An unencrypted private key in PEM; for ``Algorithm/hs256`` the secret itself. An unusable key is a permanent
    /// failure, reported when the first token is signed.
    public static func pem(_ text: MQTTSecret, _ algorithm: Algorithm) -> MQTTSigningKey {
        MQTTSigningKey(algorithm: algorithm, material: .memory(Array(text.text.utf8)))
    }

    /// The secret of ``Algorithm/hs256``: at least 32 bytes (RFC 7518, section 3.2), which need not be text.
    public static func secret(_ bytes: some Sequence<UInt8>) -> MQTTSigningKey {
        MQTTSigningKey(algorithm: .hs256, material: .memory(Array(bytes)))
    }

    /// A key or secret from a file of at most 64 KiB. The file is read for each token, so that a key can be replaced
    /// while the client runs. One trailing newline is removed from a secret that is text. An unusable file is a
    /// transient failure.
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
            throw unusable("a token could not be signed with the \(self)")
        }
    }

    private func add(to keys: JWTKeyCollection) async throws(MQTTCredentialError) {
        let bytes: [UInt8] =
            switch material {
            case .memory(let bytes): bytes
            case .file(let path): try await SecretFile.bytes(path, "key").withBytes { Array($0) }
            }
        if algorithm == .hs256 {
            let secret = secret(bytes)
            if secret.count < 32 {
                throw unusable("the HS256 secret has \(secret.count) bytes; at least 32 are needed")
            }
            await keys.add(hmac: HMACKey(from: secret), digestAlgorithm: .sha256)
            return
        }
        let text = String(decoding: bytes, as: UTF8.self)
        do {
            switch algorithm {
            case .es256: await keys.add(ecdsa: try ES256PrivateKey(pem: text))
            case .es384: await keys.add(ecdsa: try ES384PrivateKey(pem: text))
            case .rs256: await keys.add(rsa: try Insecure.RSA.PrivateKey(pem: text), digestAlgorithm: .sha256)
            case .ps256: await keys.add(pss: try Insecure.RSA.PrivateKey(pem: text), digestAlgorithm: .sha256)
            case .edDSA: await keys.add(eddsa: try EdDSA.PrivateKey(pem: text))
            case .hs256: break
            }
        } catch {
            throw unusable("the \(algorithm.rawValue) key cannot be used; is it PEM, unencrypted and of this kind?")
        }
    }

    /// Removes a byte order mark and trailing newlines, which editors add, from a secret that is text in a file. Other
    /// bytes are returned unchanged.
    private func secret(_ bytes: [UInt8]) -> [UInt8] {
        guard case .file = material, let text = String(validating: bytes, as: UTF8.self) else { return bytes }
        return Array(SecretFile.trimmed(text).utf8)
    }

    /// Returns a transient error for a file, which may just then be replaced, and a permanent one for a key in memory.
    private func unusable(_ message: String) -> MQTTCredentialError {
        if case .file(let path) = material { .transient(message + " (\(path))") } else { .permanent(message) }
    }
}

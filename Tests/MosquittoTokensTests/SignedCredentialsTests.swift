import Crypto
import CryptoExtras
import JWTKit
import Mosquitto
import MosquittoTesting
import Testing

@testable import MosquittoTokens

let attempt = MQTTConnectAttempt(endpoint: MQTTEndpoint(host: "broker", port: 8883))

@Suite struct `Tokens that are signed here` {
    /// A key in PEM, and what checks its signatures.
    private static func key(_ algorithm: MQTTSigningKey.Algorithm) async throws -> (pem: String, keys: JWTKeyCollection)
    {
        let keys = JWTKeyCollection()
        switch algorithm {
        case .es256:
            let key = P256.Signing.PrivateKey()
            await keys.add(ecdsa: try ES256PublicKey(pem: key.publicKey.pemRepresentation))
            return (key.pemRepresentation, keys)
        case .es384:
            let key = P384.Signing.PrivateKey()
            await keys.add(ecdsa: try ES384PublicKey(pem: key.publicKey.pemRepresentation))
            return (key.pemRepresentation, keys)
        case .rs256, .ps256:
            let key = try _RSA.Signing.PrivateKey(keySize: .bits2048)
            let publicKey = try Insecure.RSA.PublicKey(pem: key.publicKey.pemRepresentation)
            if algorithm == .rs256 {
                await keys.add(rsa: publicKey, digestAlgorithm: .sha256)
            } else {
                await keys.add(pss: publicKey, digestAlgorithm: .sha256)
            }
            return (key.pemRepresentation, keys)
        case .edDSA:
            let key = Curve25519.Signing.PrivateKey()
            await keys.add(eddsa: EdDSA.PublicKey(backing: key.publicKey))
            return (key.pemRepresentation, keys)
        case .hs256:
            let secret = String(repeating: "s3cret", count: 8)
            await keys.add(hmac: HMACKey(from: secret), digestAlgorithm: .sha256)
            return (secret, keys)
        }
    }

    @Test(arguments: MQTTSigningKey.Algorithm.allCases)
    func `the public key verifies them, whatever the algorithm`(algorithm: MQTTSigningKey.Algorithm) async throws {
        let (pem, keys) = try await Self.key(algorithm)
        let source = MQTTSignedCredentials(
            key: .pem(MQTTSecret(pem), algorithm), keyID: "k1", issuer: "here", subject: "device-1", audience: ["mqtt"],
            lifetime: .seconds(60), claims: ["scope": ["a", "b"], "level": 3, "admin": false])
        let credentials = try await source.credentials(for: attempt)
        #expect(credentials.username == "device-1")
        let token = try #require(credentials.password?.text)
        let payload = try await keys.verify(token, as: SignedClaims.self)
        #expect(payload.claims["iss"] == "here")
        #expect(payload.claims["sub"] == "device-1")
        #expect(payload.claims["aud"] == "mqtt")
        #expect(payload.claims["scope"] == ["a", "b"])
        #expect(payload.claims["level"] == 3)
        #expect(payload.claims["admin"] == false)
        guard case .integer(let issued)? = payload.claims["iat"], case .integer(let expiry)? = payload.claims["exp"]
        else {
            Issue.record("no times")
            return
        }
        #expect(expiry - issued == 60)
        // Another token has another identity.
        #expect(try await source.credentials(for: attempt).password != credentials.password)
    }

    @Test func `several audiences are a list`() async throws {
        let (pem, keys) = try await Self.key(.es256)
        let source = MQTTSignedCredentials(key: .pem(MQTTSecret(pem), .es256), audience: ["a", "b"])
        let token = try #require(try await source.credentials(for: attempt).password?.text)
        #expect(try await keys.verify(token, as: SignedClaims.self).claims["aud"] == ["a", "b"])
    }

    @Test func `a key file is read for each token`() async throws {
        let folder = try TemporaryDirectory()
        let (first, firstKeys) = try await Self.key(.es256)
        let (second, secondKeys) = try await Self.key(.es256)
        let path = try folder.write(first, to: "key.pem")
        let source = MQTTSignedCredentials(key: .file(path, .es256))
        _ = try await firstKeys.verify(
            try #require(try await source.credentials(for: attempt).password?.text), as: SignedClaims.self)
        try folder.write(second, to: "key.pem")
        _ = try await secondKeys.verify(
            try #require(try await source.credentials(for: attempt).password?.text), as: SignedClaims.self)
    }

    @Test(arguments: MQTTSigningKey.Algorithm.allCases)
    func `a key that cannot be used is permanent in memory, and transient in a file`(
        algorithm: MQTTSigningKey.Algorithm
    ) async throws {
        let folder = try TemporaryDirectory()
        let path = try folder.write("s3cret nonsense", to: "key.pem")
        for (key, isPermanent) in [
            (MQTTSigningKey.pem("s3cret nonsense", algorithm), true), (.file(path, algorithm), false),
            (.file(folder.path + "/none", algorithm), false),
        ] {
            let error = await #expect(throws: MQTTCredentialError.self) {
                try await MQTTSignedCredentials(key: key).credentials(for: attempt)
            }
            #expect((error?.kind == .permanent) == isPermanent)
            #expect(error?.message.contains("s3cret") == false)
        }
    }

    @Test func `no key shows`() {
        let source = MQTTSignedCredentials(key: .pem("s3cret", .hs256))
        var output = "\(source)" + String(reflecting: source)
        dump(source, to: &output)
        #expect(!output.contains("s3cret"))
    }
}

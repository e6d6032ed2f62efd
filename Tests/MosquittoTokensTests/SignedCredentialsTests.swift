// SPDX-License-Identifier: Apache-2.0

import Crypto
import CryptoExtras
import Foundation
import JWTKit
import Mosquitto
import MosquittoTesting
import Testing
import Turns

@testable import MosquittoTokens

let attempt = MQTTConnectAttempt(endpoint: MQTTEndpoint(host: "broker", port: 8883))

@Suite(.turn(.tokens)) struct `Tokens that are signed here` {
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

    @Test func `a secret may be any bytes, in memory or in a file`() async throws {
        let secret = (0..<32).map { UInt8(0xE0 + $0) } + [UInt8(ascii: "\n")]
        let keys = JWTKeyCollection()
        await keys.add(hmac: HMACKey(from: secret), digestAlgorithm: .sha256)
        let folder = try TemporaryDirectory()
        let path = folder.path + "/secret"
        try Data(secret).write(to: URL(filePath: path))
        for key in [MQTTSigningKey.secret(secret), .file(path, .hs256)] {
            let token = try #require(
                try await MQTTSignedCredentials(key: key).credentials(for: attempt).password?.text)
            _ = try await keys.verify(token, as: SignedClaims.self)
        }
    }

    @Test(arguments: ["", "\n", "\r\n"])
    func `a secret that is text is used without the end of its line`(end: String) async throws {
        let (secret, keys) = try await Self.key(.hs256)
        let folder = try TemporaryDirectory()
        let source = MQTTSignedCredentials(key: .file(try folder.write(secret + end, to: "secret"), .hs256))
        let token = try #require(try await source.credentials(for: attempt).password?.text)
        _ = try await keys.verify(token, as: SignedClaims.self)
    }

    @Test func `a secret that is too short is refused, with its length`() async {
        let error = await failure(
            of: MQTTSignedCredentials(key: .pem("s3cret", .hs256)), hiding: ["s3cret"])
        #expect(error?.kind == .permanent)
        #expect(error?.message == "the HS256 secret has 6 bytes; at least 32 are needed")
    }

    @Test func `the header says algorithm and key`() async throws {
        let (pem, _) = try await Self.key(.es384)
        let source = MQTTSignedCredentials(key: .pem(MQTTSecret(pem), .es384), keyID: "2026-11")
        let token = try #require(try await source.credentials(for: attempt).password?.text)
        let header = try #require(token.split(separator: ".").first.flatMap { Data(base64URL: $0) })
        #expect(
            try JSONDecoder().decode([String: String].self, from: header)
                == ["alg": "ES384", "kid": "2026-11", "typ": "JWT"])
    }

    @Test func `it is valid from before now if that is wanted`() async throws {
        let (pem, keys) = try await Self.key(.es256)
        var source = MQTTSignedCredentials(key: .pem(MQTTSecret(pem), .es256))
        var token = try #require(try await source.credentials(for: attempt).password?.text)
        #expect(try await keys.verify(token, as: SignedClaims.self).claims["nbf"] == nil)
        source.notBeforeLeeway = .seconds(30)
        token = try #require(try await source.credentials(for: attempt).password?.text)
        let claims = try await keys.verify(token, as: SignedClaims.self).claims
        guard case .integer(let issued)? = claims["iat"], case .integer(let start)? = claims["nbf"] else {
            Issue.record("no times")
            return
        }
        #expect(issued - start == 30)
    }

    @Test(arguments: [Duration.zero, .seconds(-1), .seconds(400_000_000), .seconds(Int64.max)])
    func `a life out of all measure is permanent`(lifetime: Duration) async throws {
        let (pem, _) = try await Self.key(.es256)
        var source = MQTTSignedCredentials(key: .pem(MQTTSecret(pem), .es256), lifetime: lifetime)
        #expect(await failure(of: source)?.kind == .permanent)
        source.lifetime = .seconds(60)
        source.notBeforeLeeway = lifetime == .zero ? .seconds(-1) : lifetime
        #expect(await failure(of: source)?.kind == .permanent)
    }

    @Test func `a claim that is no JSON is permanent`() async throws {
        let (pem, _) = try await Self.key(.es256)
        let source = MQTTSignedCredentials(key: .pem(MQTTSecret(pem), .es256), claims: ["n": .number(.nan)])
        #expect(await failure(of: source, hiding: [pem])?.kind == .permanent)
    }

    @Test func `no key shows`() {
        for key in [MQTTSigningKey.pem("s3cret", .hs256), .secret(Array("s3cret".utf8))] {
            let shown = output(of: MQTTSignedCredentials(key: key))
            #expect(!shown.contains("s3cret"))
            // The bytes of "s3c".
            #expect(!shown.contains("115, 51, 99") && !shown.contains("- 115"))
        }
    }
}

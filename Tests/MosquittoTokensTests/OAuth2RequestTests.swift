// SPDX-License-Identifier: Apache-2.0

import Crypto
import Foundation
import JWTKit
import Mosquitto
import MosquittoTesting
import Testing
import Turns

@testable import MosquittoTokens

@Suite("What an OAuth 2.0 issuer is asked", .turn(.tokens), .timeLimit(.minutes(1)))
struct OAuth2RequestTests {
    private static let secret = "50%:+/ü s3cret"

    /// The one request, which is answered with this token.
    private func request(
        _ authentication: MQTTOAuth2Credentials.Authentication, token: String = "t0ken",
        _ configure: (inout MQTTOAuth2Credentials) -> Void = { _ in }
    ) async throws -> (ScriptedIssuer.Request, MQTTCredentials, url: String) {
        var result: (ScriptedIssuer.Request, MQTTCredentials, String)?
        let authority = try TestCertificateAuthority()
        let folder = try TemporaryDirectory()
        let authorities = try folder.write(authority.certificatePEM, to: "ca.pem")
        try await ScriptedIssuer.run([.token(token)], identity: try authority.serverIdentity()) { issuer in
            var source = MQTTOAuth2Credentials(
                tokenURL: "https://localhost:\(issuer.port)/oauth2/token", clientID: "a b:c",
                authentication: authentication)
            source.certificateAuthorities = authorities
            configure(&source)
            let credentials = try await source.credentials(for: attempt)
            #expect(issuer.requests.count == 1)
            result = (try #require(issuer.requests.first), credentials, source.tokenURL)
        }
        return try #require(result)
    }

    @Test func `client_secret_basic: the secret is in the header, form-encoded, and not in the body`() async throws {
        let (request, credentials, _) = try await request(.basic(MQTTSecret(Self.secret))) {
            $0.scope = "mqtt read"
            $0.audience = "https://broker"
            $0.parameters = ["resource": "r&=1"]
        }
        #expect(request.method == "POST")
        #expect(request.path == "/oauth2/token")
        #expect(request.headers["content-type"] == ["application/x-www-form-urlencoded"])
        #expect(request.headers["accept"] == ["application/json"])
        let header = Data("a+b%3Ac:50%25%3A%2B%2F%C3%BC+s3cret".utf8).base64EncodedString()
        #expect(request.headers["authorization"] == ["Basic \(header)"])
        #expect(
            request.form == [
                "grant_type": "client_credentials", "scope": "mqtt read", "audience": "https://broker",
                "resource": "r&=1",
            ])
        #expect(credentials.password?.text == "t0ken")
        #expect(credentials.username == nil)
        let life = try #require(credentials.expiresAt).timeIntervalSinceNow
        #expect((30...60).contains(life))
    }

    @Test func `client_secret_post: client and secret are in the body`() async throws {
        let (request, _, _) = try await request(.post(MQTTSecret(Self.secret)))
        #expect(request.headers["authorization"].isEmpty)
        #expect(
            request.form == ["grant_type": "client_credentials", "client_id": "a b:c", "client_secret": Self.secret])
    }

    @Test(arguments: ["", "\n", "\r\n", "\n\n"])
    func `a secret of a file is sent without the end of its line (case 11)`(end: String) async throws {
        let folder = try TemporaryDirectory()
        let path = try folder.write((end.isEmpty ? "\u{FEFF}" : "") + "s3cret" + end, to: "secret")
        let (request, _, _) = try await request(.basicFile(path))
        #expect(request.headers["authorization"] == ["Basic " + Data("a+b%3Ac:s3cret".utf8).base64EncodedString()])
    }

    @Test func `private_key_jwt: an assertion for this endpoint, valid for a minute`() async throws {
        struct Assertion: JWTPayload {
            var iss: String
            var sub: String
            var aud: String
            var jti: String
            var iat: Int
            var exp: ExpirationClaim
            func verify(using algorithm: some JWTAlgorithm) async throws { try exp.verifyNotExpired() }
        }
        let key = P256.Signing.PrivateKey()
        let (request, _, url) = try await request(
            .privateKey(.pem(MQTTSecret(key.pemRepresentation), .es256), keyID: "k1"))
        let form = request.form
        #expect(form["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
        #expect(form["client_id"] == "a b:c")
        #expect(form["client_secret"] == nil)
        let keys = JWTKeyCollection()
        await keys.add(ecdsa: try ES256PublicKey(pem: key.publicKey.pemRepresentation), kid: "k1")
        let assertion = try await keys.verify(try #require(form["client_assertion"]), as: Assertion.self)
        #expect(assertion.iss == "a b:c")
        #expect(assertion.sub == "a b:c")
        #expect(assertion.aud == url)
        #expect(!assertion.jti.isEmpty)
        #expect(Int(assertion.exp.value.timeIntervalSince1970) - assertion.iat == 60)
    }

    @Test func `no parameter is sent twice`() async throws {
        let (request, _, _) = try await request(.post("s")) { $0.parameters = ["client_id": "other"] }
        #expect(request.form["client_id"] == "other")
    }

    @Test func `the user name is a claim of the token`() async throws {
        let payload = Data(#"{"sub": "device-1"}"#.utf8).base64EncodedString()
        let (_, credentials, _) = try await request(.post("s"), token: "e30.\(payload).c2ln") {
            $0.username = .claim("sub")
        }
        #expect(credentials.username == "device-1")
    }

    @Test func `HTTP is for this machine, and for others only if it is allowed`() async throws {
        try await ScriptedIssuer.run([.token("t0ken")]) { issuer in
            var source = MQTTOAuth2Credentials(
                tokenURL: "http://127.0.0.1:\(issuer.port)/", clientID: "c", authentication: .basic("s3cret"))
            let here = try await source.credentials(for: attempt)
            #expect(here.password?.text == "t0ken")
            // Another spelling of this machine's address, which is not known as such.
            source.tokenURL = "http://127.1:\(issuer.port)/"
            #expect(await failure(of: source)?.kind == .permanent)
            source.allowsHTTP = true
            let there = try await source.credentials(for: attempt)
            #expect(there.password?.text == "t0ken")
            #expect(issuer.requests.count == 2)
        }
    }

    @Test func `nothing of a source shows a secret`() {
        var source = MQTTOAuth2Credentials(
            tokenURL: "https://user:s3cret@issuer:8443/token?key=s3cret", clientID: "c",
            authentication: .post("s3cret"))
        source.parameters = ["password": "s3cret"]
        let shown = output(of: source)
        #expect(!shown.contains("s3cret"))
        #expect(shown.contains("issuer:8443"))
    }
}

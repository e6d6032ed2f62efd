// SPDX-License-Identifier: Apache-2.0

import AsyncHTTPClient
import Foundation
import Mosquitto
import MosquittoTesting
import Testing
import Turns

@testable import MosquittoTokens

@Suite("An OAuth 2.0 issuer in trouble", .turn(.tokens), .timeLimit(.minutes(1)))
struct OAuth2FailureTests {
    private static let secret = "s3cret-of-the-client"

    private func source(_ issuer: ScriptedIssuer) -> MQTTOAuth2Credentials {
        MQTTOAuth2Credentials(
            tokenURL: "http://127.0.0.1:\(issuer.port)/token", clientID: "c",
            authentication: .basic(MQTTSecret(Self.secret)))
    }

    /// Returns the error that follows from this answer.
    private func failure(_ answer: ScriptedIssuer.Answer) async throws -> MQTTCredentialError? {
        var error: MQTTCredentialError?
        try await ScriptedIssuer.run([answer]) { issuer in
            error = await MosquittoTokensTests.failure(of: source(issuer), hiding: [Self.secret, "t0ken"])
            #expect(issuer.requests.count == 1)
        }
        return error
    }

    @Test(arguments: [429, 503])
    func `it is left alone for as long as it says`(status: Int) async throws {
        let error = try await failure(.full(status, headers: ["Retry-After": "17"], "slow down"))
        #expect(error?.kind == .transient(retryAfter: .seconds(17)))
    }

    @Test func `until the time that it says`() async throws {
        let format = DateFormatter()
        format.locale = Locale(identifier: "en_US_POSIX")
        format.timeZone = TimeZone(identifier: "GMT")
        format.dateFormat = "EEE, dd MMM yyyy HH:mm:ss 'GMT'"
        let date = format.string(from: Date.now + 120)
        guard case .transient(let wait?) = try await failure(.full(503, headers: ["Retry-After": date], ""))?.kind
        else {
            Issue.record("no time to wait")
            return
        }
        #expect(wait > .seconds(60) && wait <= .seconds(120))
    }

    @Test(arguments: [
        ScriptedIssuer.Answer.full(500, "Internal t0ken"), .full(200, "<html>"), .full(200, #"{"token": "t0ken"}"#),
        .full(200, ""), .hangUp,
    ])
    func `what is no answer may pass`(answer: ScriptedIssuer.Answer) async throws {
        #expect(try await failure(answer)?.kind == .transient(retryAfter: nil))
    }

    @Test func `an answer without end is not read to its end`() async throws {
        let body = #"{"access_token": ""# + String(repeating: "x", count: 2 << 20) + #""}"#
        let error = try await failure(.full(200, body))
        #expect(error?.kind == .transient(retryAfter: nil))
        #expect(error?.message.contains("more than 1048576 bytes") == true)
    }

    @Test(arguments: ["", #"t0ken\u0000"#, #"t0\nken"#, String(repeating: "t0ken", count: 14_000)])
    func `what cannot be a token is not sent`(token: String) async throws {
        #expect(try await failure(.token(token))?.kind == .transient(retryAfter: nil))
    }

    @Test(arguments: [ScriptedIssuer.Answer.silence, .half])
    func `it has so much time for the whole answer`(answer: ScriptedIssuer.Answer) async throws {
        try await ScriptedIssuer.run([answer]) { issuer in
            var source = source(issuer)
            source.timeout = .milliseconds(300)
            let error = await MosquittoTokensTests.failure(of: source, hiding: [Self.secret])
            #expect(error?.kind == .transient(retryAfter: nil))
            #expect(error?.message.contains("127.0.0.1:\(issuer.port) took longer than 0.3 seconds") == true)
        }
    }

    @Test(arguments: [ScriptedIssuer.Answer.silence, .half])
    func `a question that is cancelled ends`(answer: ScriptedIssuer.Answer) async throws {
        try await ScriptedIssuer.run([answer]) { issuer in
            var source = source(issuer)
            source.timeout = .seconds(3_600)
            let question = Task { [source] in try await source.credentials(for: attempt) }
            #expect(await eventually { issuer.requests.count == 1 })
            question.cancel()
            await #expect(throws: CancellationError.self) { try await question.value }
        }
    }

    @Test func `a client that it does not know is permanent, in its own words without secrets`() async throws {
        let jwt = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.c2ln"
        let error = try await failure(
            .full(
                401,
                #"{"error": "invalid_client", "error_description": "the secret \#(Self.secret) or \#(jwt)\nis wrong"}"#)
        )
        #expect(error?.kind == .permanent)
        #expect(
            error?.message
                == "the issuer answered 401 invalid_client: the secret (redacted) or (redacted) is wrong")
    }

    @Test(arguments: [301, 302, 303, 307, 308])
    func `a redirection is not followed`(status: Int) async throws {
        try await ScriptedIssuer.run([.token("t0ken")]) { other in
            let location = "http://127.0.0.1:\(other.port)/"
            let error = try await failure(.full(status, headers: ["Location": location], ""))
            #expect(error?.kind == .transient(retryAfter: nil))
            #expect(error?.message.contains("redirection") == true)
            #expect(other.requests.isEmpty)
        }
    }

    @Test func `an HTTP client that follows redirections is not for secrets`() async throws {
        try await ScriptedIssuer.run([.token("t0ken")]) { other in
            let location = "http://127.0.0.1:\(other.port)/"
            try await ScriptedIssuer.run([.full(302, headers: ["Location": location], "")]) { issuer in
                var source = source(issuer)
                source.httpClient = .shared
                let error = await MosquittoTokensTests.failure(of: source, hiding: [Self.secret, "t0ken"])
                #expect(error?.kind == .permanent)
            }
        }
    }

    @Test func `nobody there is said at once`() async throws {
        let port = try freePort()
        let source = MQTTOAuth2Credentials(
            tokenURL: "https://127.0.0.1:\(port)/token", clientID: "c", authentication: .basic(MQTTSecret(Self.secret)))
        let started = ContinuousClock.now
        let error = await MosquittoTokensTests.failure(of: source, hiding: [Self.secret])
        #expect(error?.kind == .transient(retryAfter: nil))
        #expect(error?.message.contains("127.0.0.1:\(port) could not be asked: Connection refused") == true)
        #expect(ContinuousClock.now - started < .seconds(8))
    }

    /// A firewall in front of an issuer may quote the request that it refuses.
    @Test func `the header that it quotes does not show`() async throws {
        let header = OAuth2Form.basic("c", Self.secret)
        let error = try await failure(
            .full(400, #"{"error": "invalid_request", "error_description": "bad Authorization: \#(header)"}"#))
        #expect(error?.message == "the issuer answered 400 invalid_request: bad Authorization: Basic (redacted)")
    }

    /// NIOSSL's own minimum is TLS 1.0 (RFC 8996).
    @Test func `it is spoken to with TLS 1_2 at least, whoever it is trusted by`() async throws {
        #expect(HTTPClient.oauth2Configuration.tlsConfiguration?.minimumTLSVersion == .tlsv12)
        let folder = try TemporaryDirectory()
        let path = try folder.write(try TestCertificateAuthority().certificatePEM, to: "ca.pem")
        #expect(try await HTTPClient.trust(path).minimumTLSVersion == .tlsv12)
    }

    @Test func `it is sent nothing before it is trusted, and the authorities can be replaced`() async throws {
        let authority = try TestCertificateAuthority()
        let folder = try TemporaryDirectory()
        let path = try folder.write(try TestCertificateAuthority().certificatePEM, to: "ca.pem")
        try await ScriptedIssuer.run([.token("t0ken")], identity: try authority.serverIdentity()) { issuer in
            var source = source(issuer)
            source.tokenURL = "https://localhost:\(issuer.port)/"
            var error = await MosquittoTokensTests.failure(of: source, hiding: [Self.secret])
            #expect(error?.kind == .transient(retryAfter: nil))
            source.certificateAuthorities = path
            error = await MosquittoTokensTests.failure(of: source, hiding: [Self.secret])
            #expect(error?.kind == .transient(retryAfter: nil))
            #expect(error?.message.contains("its certificate is not trusted") == true)
            #expect(issuer.requests.isEmpty)
            try folder.write(authority.certificatePEM, to: "ca.pem")
            #expect(try await source.credentials(for: attempt).password?.text == "t0ken")
        }
    }

    @Test func `its certificate has to be for its name`() async throws {
        let authority = try TestCertificateAuthority()
        let folder = try TemporaryDirectory()
        let path = try folder.write(authority.certificatePEM, to: "ca.pem")
        let identity = try authority.serverIdentity(names: ["elsewhere.example"], addresses: [])
        try await ScriptedIssuer.run([.token("t0ken")], identity: identity) { issuer in
            var source = source(issuer)
            source.tokenURL = "https://localhost:\(issuer.port)/"
            source.certificateAuthorities = path
            let error = await MosquittoTokensTests.failure(of: source, hiding: [Self.secret])
            #expect(error?.message.contains("its certificate is for another host") == true)
            #expect(issuer.requests.isEmpty)
        }
    }

    @Test(arguments: ["none.pem", "nonsense.pem"])
    func `a file of authorities that cannot be used may be just being replaced`(name: String) async throws {
        let folder = try TemporaryDirectory()
        try folder.write("nonsense", to: "nonsense.pem")
        var source = MQTTOAuth2Credentials(
            tokenURL: "https://localhost/", clientID: "c", authentication: .basic(MQTTSecret(Self.secret)))
        source.certificateAuthorities = folder.path + "/" + name
        let error = await MosquittoTokensTests.failure(of: source, hiding: [Self.secret])
        #expect(error?.kind == .transient(retryAfter: nil))
        #expect(error?.message.contains(name) == true)
    }
}

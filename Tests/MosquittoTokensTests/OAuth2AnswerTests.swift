// SPDX-License-Identifier: Apache-2.0

import Foundation
import Mosquitto
import Testing
import Turns

@testable import MosquittoTokens

@Suite(.turn(.tokens)) struct `An answer of an OAuth 2.0 issuer` {
    private func answer(_ status: Int, _ body: String, retryAfter: String? = nil) -> OAuth2Answer {
        OAuth2Answer(status: status, retryAfter: retryAfter, body: Data(body.utf8))
    }

    private func failure(_ answer: OAuth2Answer) -> MQTTCredentialError? {
        #expect(throws: MQTTCredentialError.self) { _ = try answer.token() }
    }

    @Test(arguments: [("60", 60.0), ("\"60\"", 60), ("59.5", 59.5), ("null", nil), ("-1", nil), ("\"soon\"", nil)])
    func `it has a token, and mostly its life`(expiresIn: String, expected: Double?) throws {
        let token = try answer(200, #"{"access_token":"t","token_type":"Bearer","expires_in":\#(expiresIn)}"#).token()
        #expect(token.text == "t")
        #expect(token.expiresIn == expected)
    }

    @Test(arguments: ["", "{}", "<html>", "[]", #"{"access_token":3}"#])
    func `garbage may pass`(body: String) {
        #expect(failure(answer(200, body))?.kind == .transient(retryAfter: nil))
    }

    @Test(arguments: [
        "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type", "invalid_scope",
        "invalid_request",
    ])
    func `what only a person can put right is permanent`(code: String) {
        let error = failure(answer(400, #"{"error":"\#(code)","error_description":"because"}"#))
        #expect(error?.kind == .permanent)
        #expect(error?.message == "the issuer answered 400 \(code): because")
    }

    @Test(arguments: [400, 401, 403, 408, 429, 500, 502, 503])
    func `everything else may pass`(status: Int) {
        #expect(failure(answer(status, "no"))?.kind == .transient(retryAfter: nil))
        #expect(failure(answer(status, #"{"error":"temporarily_unavailable"}"#))?.kind == .transient(retryAfter: nil))
    }

    @Test func `a server error is never permanent`() {
        #expect(failure(answer(500, #"{"error":"invalid_client"}"#))?.kind == .transient(retryAfter: nil))
    }

    @Test(arguments: [408, 429])
    func `what is about time alone is never permanent`(status: Int) {
        let answer = answer(status, #"{"error":"invalid_request"}"#, retryAfter: "5")
        #expect(failure(answer)?.kind == .transient(retryAfter: .seconds(5)))
    }

    @Test func `Retry-After is heeded, in seconds and as a date`() {
        #expect(failure(answer(429, "", retryAfter: "30"))?.kind == .transient(retryAfter: .seconds(30)))
        let now = Date(timeIntervalSince1970: 784_111_777)
        #expect(OAuth2Answer.delay("Sun, 06 Nov 1994 08:50:37 GMT", now: now) == .seconds(60))
        #expect(
            OAuth2Answer.delay("Thu, 29 Feb 2024 23:59:59 GMT", now: Date(timeIntervalSince1970: 1_709_251_190))
                == .seconds(9))
        #expect(OAuth2Answer.delay("999999999", now: now) == .seconds(86_400))
        for nonsense in ["", "soon", "-1", "nan", "Sun, 06 Nov 1994", "Sun, 99 Nov 1994 08:50:37 GMT", "inf"] {
            let delay = OAuth2Answer.delay(nonsense, now: now)
            #expect(delay == nil, "\(nonsense)")
        }
    }

    @Test func `what it says is cut and fit for a log`() {
        let long = String(repeating: "x", count: 1_000)
        let error = failure(answer(400, #"{"error":"a\nb","error_description":"\#(long)"}"#))
        #expect(error?.message.contains("\n") == false)
        #expect((error?.message.count ?? 1_000) < 300)
    }

    @Test func `nothing in it changes the line or the direction of a log`() {
        let text = Redaction.printable("a\u{202E}b\u{2028}c\u{85}d\u{1B}[31m e\u{301}\r\nü")
        #expect(text == "a b c d [31m e\u{301} ü")
    }

    @Test func `a secret within a longer one goes with it`() {
        #expect(Redaction.printable("abcdef abc", without: ["abc", "abcdef", ""]) == "(redacted) (redacted)")
    }

    @Test func `a form is encoded`() {
        #expect(OAuth2Form.encoded("50%:+/ü a-b_c.d*~") == "50%25%3A%2B%2F%C3%BC+a-b_c.d*%7E")
    }

    @Test(arguments: ["http://issuer.example.com/token", "issuer.example.com", "", "ftp://127.0.0.1/"])
    func `a secret is sent over HTTPS only`(url: String) async {
        let source = MQTTOAuth2Credentials(tokenURL: url, clientID: "c", authentication: .basic("s3cret"))
        let error = await #expect(throws: MQTTCredentialError.self) { try await source.credentials(for: attempt) }
        #expect(error?.kind == .permanent)
        #expect(error?.message.contains("s3cret") == false)
    }

    @Test func `no secret shows`() {
        for authentication in [
            MQTTOAuth2Credentials.Authentication.basic("s3cret"), .post("s3cret"), .privateKey(.pem("s3cret", .es256)),
        ] {
            var output = "\(authentication)" + String(reflecting: authentication)
            dump(authentication, to: &output)
            #expect(!output.contains("s3cret"))
        }
    }
}

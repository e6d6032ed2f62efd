// SPDX-License-Identifier: Apache-2.0

import MosquittoTokens
import Testing
import Turns

@testable import Mosquitto
@testable import mosq

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

@Suite("From facts to a diagnosis", .turn(.command))
struct DoctorDiagnosisTests {
    private let now = Date(timeIntervalSince1970: 1_800_000_000)

    // MARK: TCP

    private func address(_ failure: ConnectFacts.Failure?) -> ConnectFacts.Address {
        ConnectFacts.Address(address: "192.0.2.1", seconds: 0.1, failure: failure, error: failure.map { "\($0)" })
    }

    @Test(arguments: [
        (403, "token"), (407, "proxy"), (200, "captive portal"), (307, "moved"), (404, "path"), (503, "overloaded"),
    ])
    func `a refused upgrade to a WebSocket names its status and what to do`(status: Int, likely: String) {
        var error = MQTTError(
            .upgradeRefused, "the upgrade to a WebSocket was answered with \(status); check", phase: .upgrade)
        error.httpStatus = status
        error.webSocket = MQTTWebSocketFailure(body: "no")
        let diagnosis = Diagnosis.upgrade(error, isTLS: true)
        #expect(diagnosis.cause == .upgradeRefused)
        #expect(diagnosis.summary == "The upgrade to a WebSocket was answered with \(status).")
        #expect(diagnosis.likely.first == "the server says: no" && diagnosis.likely.last?.contains(likely) == true)
    }

    @Test(arguments: [
        ([ConnectFacts.Failure?.none], nil), ([.refused], Diagnosis.Cause.refused), ([.timeout], .noAnswer),
        ([.unreachable], .unreachable), ([.system], .noSocket), ([.timeout, .refused], .refused),
        ([.timeout, .none], .someAddressesFail), ([.unreachable, .timeout], .unreachable),
    ])
    func `of addresses`(failures: [ConnectFacts.Failure?], cause: Diagnosis.Cause?) {
        let facts = ConnectFacts(port: 8_883, addresses: failures.map(address))
        #expect(Diagnosis.tcp(facts, isTLS: true)?.cause == cause)
    }

    @Test func `of a port that is unusual, the usual one is named`() throws {
        let facts = ConnectFacts(port: 8_884, addresses: [address(.refused)])
        #expect(try #require(Diagnosis.tcp(facts, isTLS: true)).likely[0].contains("8883"))
        #expect(try #require(Diagnosis.tcp(facts, isTLS: false)).likely[0].contains("1883"))
    }

    // MARK: TLS

    private func certificate(from begin: Double, to end: Double) -> MQTTTLSCertificate {
        MQTTTLSCertificate(
            subject: "CN=broker", issuer: "CN=ca", serialNumber: "01", notBefore: now + begin, notAfter: now + end,
            subjectAlternativeNames: [.dns("broker")], publicKeyPin: MQTTTLSPublicKeyPin(unchecked: []), der: [])
    }

    private func tls(_ failure: MQTTTLSFailure, hasClientCertificate: Bool = false) -> Diagnosis {
        var error = MQTTError(.tlsVerification, "failed", phase: .tlsHandshake)
        error.tls = failure
        return .tls(error, TLSFacts(host: "host", hasClientCertificate: hasClientCertificate), now: now)
    }

    @Test(arguments: [
        (Int32(9), -10.0, Diagnosis.Cause.certificateNotYetValid), (9, 3_600, .clock),
        (9, 864_000, .certificateNotYetValid),
        (10, 0, .certificateExpired), (18, 0, .unknownAuthority), (19, 0, .unknownAuthority),
        (20, 0, .unknownAuthority), (21, 0, .unknownAuthority), (62, 0, .wrongName), (64, 0, .wrongName),
        (23, 0, .certificateRevoked), (50, 0, .certificateRefused), (26, 0, .certificateRefused),
    ])
    func `of a failed check`(code: Int32, begin: Double, cause: Diagnosis.Cause) {
        // A negative begin stands for a check that has no certificate.
        let certificate = begin < 0 ? nil : certificate(from: begin, to: begin - 60)
        let check = MQTTTLSFailure.Verification(code: code, text: "check", depth: 0, certificate: certificate)
        #expect(tls(MQTTTLSFailure(.verification, verification: check)).cause == cause)
    }

    @Test(arguments: [
        (MQTTTLSFailure.Kind.notTLS, false, Diagnosis.Cause.notTLS), (.tlsRequired, false, .tlsRequired),
        (.clientCertificate, false, .clientCertificateMissing), (.clientCertificate, true, .clientCertificateRefused),
        (.configuration, false, .tlsConfiguration), (.protocolError, false, .tlsMismatch),
        (.alert, false, .tlsMismatch),
    ])
    func `of a kind of failure`(kind: MQTTTLSFailure.Kind, hasClientCertificate: Bool, cause: Diagnosis.Cause) {
        #expect(tls(MQTTTLSFailure(kind), hasClientCertificate: hasClientCertificate).cause == cause)
    }

    @Test func `an expired client certificate is told by the broker's alert`() {
        let alert = MQTTTLSFailure.Alert(received: true, code: 45, name: "certificate_expired")
        let diagnosis = tls(MQTTTLSFailure(.clientCertificate, alert: alert), hasClientCertificate: true)
        #expect(diagnosis.likely == ["it sent the TLS alert certificate_expired", "it has expired"])
    }

    // MARK: Tokens

    private func token(
        issued: Double? = nil, notBefore: Double? = nil, expires: Double? = nil, source: String = "file",
        skew: Double? = nil
    ) -> TokenFacts {
        TokenFacts(
            source: source, kind: .jwt, issuedAt: issued.map { now + $0 }, notBefore: notBefore.map { now + $0 },
            expiresAt: expires.map { now + $0 }, receivedAt: now, clockSkew: skew)
    }

    @Test func `of a token that is good`() {
        #expect(Diagnosis.token(token(issued: -5, notBefore: -5, expires: 300)) == nil)
        #expect(Diagnosis.token(token()) == nil)
        #expect(Diagnosis.token(TokenFacts()) == nil)
        // Clocks differ by a little.
        #expect(Diagnosis.token(token(issued: 30, expires: 300, skew: 30)) == nil)
    }

    @Test func `of a token that is not`() throws {
        let rows: [(TokenFacts, Diagnosis.Cause, Bool, String)] = [
            (token(issued: -900, expires: -600), .tokenExpired, true, "10 min ago"),
            (token(notBefore: 1_800, expires: 3_600), .tokenNotYetValid, true, "in 30 min"),
            (token(issued: 3_600, notBefore: 3_600, expires: 7_200), .clock, false, "behind by about 60 min"),
            (token(issued: -3_600, expires: -3_000, source: "oauth2"), .clock, true, "ahead by about 60 min"),
            (token(issued: 0, expires: 300, source: "oauth2", skew: 3_600), .clock, false, "behind by about 60 min"),
            (token(issued: 0, expires: 300, source: "oauth2", skew: -3_600), .clock, false, "ahead by about 60 min"),
        ]
        for (facts, cause, isFailure, words) in rows {
            let found = try #require(Diagnosis.token(facts))
            #expect(found.diagnosis.cause == cause)
            #expect(found.isFailure == isFailure)
            #expect(found.diagnosis.summary.contains(words), "\(found.diagnosis.summary)")
        }
    }

    @Test func `the claims are read, and nothing of the signature`() {
        let text = unsignedToken(#"{"sub":"dev1","aud":["a","b"],"exp":1800000300.5}"#, signature: "c2VjcmV0")
        let facts = TokenFacts(MQTTCredentials(username: "u", password: MQTTSecret(text)), source: "file", now: now)
        #expect(facts.kind == .jwt)
        #expect(facts.keyID == "key-7")
        #expect(facts.expiresAt == now + 300.5)
        #expect(Diagnosis.text(facts.claims["aud"] ?? .null) == "a, b")
        var shown = ""
        dump(facts, to: &shown)
        #expect(!shown.contains("c2VjcmV0"))
        #expect(!shown.contains("eyJ"))
    }

    @Test(arguments: ["secret", "a.b.c", "", "eyJ.eyJ.x", #"e30.W10.x"#])
    func `what is no JWT is a password`(text: String) {
        let facts = TokenFacts(MQTTCredentials(password: MQTTSecret(text)), source: "static", now: now)
        #expect(facts.kind == .password)
        #expect(facts.claims.isEmpty)
    }

    // MARK: The broker's answer

    @Test func `of a refusal, with the token that was shown`() {
        func cause(_ facts: TokenFacts?, says: String? = nil) -> Diagnosis.Cause {
            var error = MQTTError(.notAuthorized, "refused", phase: .connack)
            error.reasonCode = .notAuthorized
            error.reasonString = says
            return Diagnosis.connack(error, facts, isTLS: true, now: now).cause
        }
        #expect(cause(nil) == .credentialsMissing)
        #expect(cause(TokenFacts()) == .credentialsMissing)
        #expect(cause(TokenFacts(username: "u", kind: .password)) == .notAuthorized)
        #expect(cause(token(issued: -900, expires: -600)) == .tokenExpired)
        #expect(cause(token(issued: 3_600, expires: 7_200)) == .clock)
        #expect(cause(token(issued: 0, expires: 300)) == .notAuthorized)
        #expect(cause(token(issued: 0, expires: 300), says: "Audience mismatch") == .wrongAudience)
    }

    @Test(arguments: [
        (MQTTError.Code.timeout, Diagnosis.Cause.noAnswer), (.closed, .closed), (.protocolViolation, .notMQTT),
        (.system, .system),
    ])
    func `of no answer`(code: MQTTError.Code, cause: Diagnosis.Cause) {
        let error = MQTTError(code, "failed", phase: .connack)
        #expect(Diagnosis.connack(error, nil, isTLS: false, now: now).cause == cause)
    }

    // MARK: What a person reads

    @Test(arguments: [
        (0.0004, "under 1 ms"), (0.0123, "12 ms"), (1.26, "1.3 s"), (59, "59 s"), (-600, "10 min"), (7_200, "2 h"),
        (864_000, "10 days"),
    ])
    func `lengths of time`(seconds: Double, text: String) { #expect(TimeText.length(seconds) == text) }

    @Test func `colour is for a terminal whose user has not refused it`() {
        #expect(ReportStyle.standardOutput(environment: [:], isTerminal: true).isColored)
        #expect(ReportStyle.standardOutput(environment: ["NO_COLOR": ""], isTerminal: true).isColored)
        #expect(!ReportStyle.standardOutput(environment: [:], isTerminal: false).isColored)
        #expect(!ReportStyle.standardOutput(environment: ["NO_COLOR": "1"], isTerminal: true).isColored)
        #expect(!ReportStyle.standardOutput(environment: ["TERM": "dumb"], isTerminal: true).isColored)
        #expect(ReportStyle(isColored: true).mark(.failed) == "\u{1B}[31m✗\u{1B}[0m")
    }
}

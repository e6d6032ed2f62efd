// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing
import Turns

@testable import Mosquitto

/// An unsigned token with this payload.
func makeToken(_ payload: String) -> String {
    func encode(_ text: String) -> String {
        Data(text.utf8).base64EncodedString().replacingOccurrences(of: "+", with: "-").replacingOccurrences(
            of: "/", with: "_"
        )
        .replacingOccurrences(of: "=", with: "")
    }
    return encode(#"{"alg":"none"}"#) + "." + encode(payload) + ".signature"
}

@Suite(.turn(.units)) struct `Claims of a JWT` {
    @Test func `its times are read`() throws {
        let claims = try #require(
            JWTClaims(token: MQTTSecret(makeToken(#"{"exp":1700003600,"iat":1700000000,"nbf":1700000001,"sub":"d"}"#))))
        #expect(claims.expiresAt == 1_700_003_600)
        #expect(claims.issuedAt == 1_700_000_000)
    }

    @Test(arguments: [#"{}"#, #"{"a":"b"}"#, #"{"ab":"c"}"#, #"{"abc":"d"}"#, #"{"name":"ÿþ???>>>"}"#])
    func `payloads of every length decode, with the alphabet of URLs`(payload: String) throws {
        #expect(try #require(JWTClaims(token: MQTTSecret(makeToken(payload)))).expiresAt == nil)
    }

    @Test func `fractions of a second are kept`() throws {
        #expect(try #require(JWTClaims(token: MQTTSecret(makeToken(#"{"exp":1.5e9}"#)))).expiresAt == 1_500_000_000)
        #expect(try #require(JWTClaims(token: MQTTSecret(makeToken(#"{"exp":10.25}"#)))).expiresAt == 10.25)
    }

    @Test(arguments: [
        "", "password", "a.b", "a.b.c", "..", "a.b.c.d", "e30.e30", "e30.%%%.e30", "e30.W10.x",
        makeToken(#"{"exp":"soon"}"#),
        makeToken("not json"), "\u{0}.\u{0}.\u{0}", "e30.e30-\u{301}.x",
    ])
    func `what is no JWT is an opaque token`(token: String) {
        #expect(JWTClaims(token: MQTTSecret(token)) == nil)
    }
}

@Suite(.turn(.units)) struct `The life of a token` {
    private let now = Date(timeIntervalSince1970: 1_700_000_000)

    private func lifetime(issued: Int, expires: Int) -> TokenLifetime? {
        let token = makeToken(#"{"iat":\#(1_700_000_000 + issued),"exp":\#(1_700_000_000 + expires)}"#)
        return TokenLifetime(MQTTCredentials(password: MQTTSecret(token)), receivedAt: now)
    }

    private func delay(_ lifetime: TokenLifetime?, at fraction: Double = 0.8, jitter: Double = 0) -> Duration? {
        var generator = JitterGenerator(seed: 1)
        let delay = lifetime?.refreshDelay(at: fraction, jitter: jitter, using: &generator)
        // Fractions of a duration are computed with a Double.
        return delay.map { .milliseconds(Int64(($0 / .milliseconds(1)).rounded())) }
    }

    @Test func `is known from its claims`() {
        #expect(lifetime(issued: -100, expires: 900)?.total == .seconds(1_000))
        #expect(lifetime(issued: -100, expires: 900)?.remaining == .seconds(900))
    }

    @Test func `is unknown without claims`() {
        #expect(TokenLifetime(MQTTCredentials(password: "secret"), receivedAt: now) == nil)
        #expect(TokenLifetime(.anonymous, receivedAt: now) == nil)
        #expect(TokenLifetime(MQTTCredentials(password: MQTTSecret(makeToken("{}"))), receivedAt: now) == nil)
    }

    @Test func `is what the provider says, before the claims`() {
        let token = MQTTSecret(makeToken(#"{"exp":1700009999}"#))
        let credentials = MQTTCredentials(password: token, expiresAt: now.addingTimeInterval(60))
        #expect(TokenLifetime(credentials, receivedAt: now)?.remaining == .seconds(60))
    }

    @Test(arguments: [(3_600, 7_200), (-7_200, -3_600)])
    func `counts whole from the receipt where the clock must be wrong`(issued: Int, expires: Int) {
        #expect(lifetime(issued: issued, expires: expires)?.remaining == .seconds(3_600))
    }

    @Test func `is over where the token expired when or before it was issued`() {
        #expect(lifetime(issued: 0, expires: 0)?.remaining == .zero)
        #expect(delay(lifetime(issued: 10, expires: 5)) == nil)
        #expect(
            TokenLifetime(MQTTCredentials(expiresAt: now.addingTimeInterval(-1)), receivedAt: now)?.remaining == .zero)
    }

    @Test(arguments: [Date.distantFuture.timeIntervalSince1970, 1e300, .infinity, .nan])
    func `is unknown where it never ends`(expiry: Double) {
        let credentials = MQTTCredentials(expiresAt: Date(timeIntervalSince1970: expiry))
        #expect((TokenLifetime(credentials, receivedAt: now) == nil) as Bool)
    }

    @Test func `absurd claims do no harm`() {
        let token = MQTTSecret(makeToken(#"{"exp":1e308,"iat":-1e308}"#))
        #expect(TokenLifetime(MQTTCredentials(password: token), receivedAt: now) == nil)
    }

    @Test func `ends for us at the fraction, less the jitter`() throws {
        let hour = try #require(lifetime(issued: 0, expires: 3_600))
        #expect(delay(hour) == .seconds(2_880))
        var delays: Set<Duration> = []
        var generator = JitterGenerator(seed: 3)
        for _ in 0..<100 {
            let delay = try #require(hour.refreshDelay(at: 0.8, jitter: 0.1, using: &generator))
            #expect((.seconds(2_520) ... .seconds(2_880)).contains(delay))
            delays.insert(delay)
        }
        #expect(delays.count > 50)
    }

    @Test func `counts what is left, not the whole, of a token that was issued a while ago`() {
        #expect(delay(lifetime(issued: -1_000, expires: 2_600)) == .seconds(1_880))
    }

    @Test func `a token that is almost over is not replaced without a pause`() {
        #expect(delay(lifetime(issued: -3_500, expires: 100)) == .seconds(5))
        #expect(delay(lifetime(issued: -3_598, expires: 2)) == .seconds(1))
    }
}

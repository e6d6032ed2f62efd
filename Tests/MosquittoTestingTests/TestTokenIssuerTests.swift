// SPDX-License-Identifier: Apache-2.0

import Foundation
import MosquittoTesting
import Testing
import Turns

@Suite(.turn(.tools)) struct TestTokenIssuerTests {
    let issuer = TestTokenIssuer()
    let now = Date(timeIntervalSince1970: 1_800_000_000.25)

    @Test func `A token is valid until the fraction of a second at which it expires`() throws {
        let token = issuer.token(subject: "dev7", lifetime: .milliseconds(500), issuedAt: now, audience: "mqtt")
        let valid = try #require(issuer.validate(token, now: now.addingTimeInterval(0.49)))
        #expect(valid.subject == "dev7")
        #expect(valid.audience == "mqtt")
        #expect(abs(valid.expiresAt.timeIntervalSince(now) - 0.5) < 0.000_1)
        #expect(issuer.validate(token, now: now.addingTimeInterval(0.51)) == nil)
    }

    @Test func `A negative lifetime gives an expired token`() {
        #expect(issuer.validate(issuer.token(lifetime: .seconds(-1))) == nil)
    }

    @Test func `Two tokens of the same claims differ`() {
        let tokens = (0..<2).map { _ in issuer.token(lifetime: .seconds(60), issuedAt: now) }
        #expect(tokens[0] != tokens[1])
    }

    @Test func `A token that was changed anywhere, or signed by another issuer, is refused`() {
        let token = issuer.token(lifetime: .seconds(60))
        #expect(issuer.validate(token) != nil)
        #expect(TestTokenIssuer().validate(token) == nil)
        let parts = token.split(separator: ".")
        let none = Data(#"{"alg":"none"}"#.utf8).base64EncodedString()
        for forged in [
            "", "a.b", "\(none).\(parts[1]).", "\(parts[0]).\(parts[1]).", "\(parts[0]).\(parts[1])A.\(parts[2])",
        ] {
            #expect(issuer.validate(forged) == nil)
        }
    }
}

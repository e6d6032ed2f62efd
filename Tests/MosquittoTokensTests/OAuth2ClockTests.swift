// SPDX-License-Identifier: Apache-2.0

import Foundation
import MosquittoTokens
import Testing
import Turns

@Suite("The clock of an OAuth 2.0 issuer", .turn(.tokens))
struct OAuth2ClockTests {
    private func skew(_ headers: [String: String]) async throws -> Double? {
        var result: Double?
        try await ScriptedIssuer.run([.full(405, headers: headers, "")]) { issuer in
            let credentials = MQTTOAuth2Credentials(
                tokenURL: "http://127.0.0.1:\(issuer.port)/token", clientID: "dev1",
                authentication: .basic("client-secret"))
            result = await credentials.clockSkew()
            let request = try #require(issuer.requests.first)
            #expect(request.method == "HEAD")
            // No secret is needed to read a clock.
            #expect(!request.headers.contains(name: "Authorization"))
            #expect(request.body == "")
        }
        return result
    }

    @Test(arguments: [-3_600.0, 0, 3_600])
    func `is read from the date of its answer`(offset: Double) async throws {
        let formatter = DateFormatter()
        formatter.locale = Locale(identifier: "en_US_POSIX")
        formatter.timeZone = TimeZone(identifier: "GMT")
        formatter.dateFormat = "EEE, dd MMM yyyy HH:mm:ss 'GMT'"
        let date = formatter.string(from: Date(timeIntervalSinceNow: offset))
        let skew = try #require(try await skew(["Date": date]))
        // A second of the date, and the time of the request on a busy machine.
        #expect(abs(skew - offset) < 10, "\(skew)")
    }

    @Test(arguments: [[:], ["Date": "yesterday"]])
    func `is unknown without a date`(headers: [String: String]) async throws {
        #expect(try await skew(headers) == nil)
    }
}

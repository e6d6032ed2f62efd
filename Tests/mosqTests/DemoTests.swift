// SPDX-License-Identifier: Apache-2.0

import Testing
import Turns

@Suite("mosq demo", .turn(.command), .timeLimit(.minutes(2)))
struct DemoTests {
    @Test(arguments: ["embedded", "mosquitto"])
    func `it gets to its end within thirty seconds and loses nothing`(broker: String) async throws {
        let result = try await MosqProcess(["demo", "--broker", broker]).result(timeout: .seconds(30))
        #expect(result.status == 0, "\(result.errors)")
        #expect(result.output.contains("connection refused"))
        #expect(result.output.contains("certificate verification failed"))
        #expect(result.output.contains("rotated the token"))
        #expect(result.output.contains("session resumed"))
        #expect(result.output.contains("messages lost           0\n"))
        // Not a terminal: no colour.
        #expect(!result.output.contains("\u{1B}"))
        if broker == "embedded" { #expect(result.output.contains("Not authorized")) }
    }
}

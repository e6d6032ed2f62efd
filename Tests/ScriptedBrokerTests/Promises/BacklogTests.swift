// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Testing
import Turns

/// A resumed session delivers its stored messages before the broker answers a SUBSCRIBE.
@Suite("More than a buffer waits in the session", .turn(.scripted), .timeLimit(.minutes(1)))
struct BacklogTests {
    /// Nothing is read while a buffer is full, the SUBACK included, for which the subscription would wait.
    @Test(arguments: MQTTVersion.allCases, [MQTTAcknowledgement.onReceipt, .afterHandling])
    func `and a subscription that waits for its SUBACK begins`(
        version: MQTTVersion, acknowledgement: MQTTAcknowledgement
    ) async throws {
        let broker = try await ScriptedBroker.start(tls: TestTLS.identity)
        var configuration = testConfiguration(port: broker.port, version: version)
        configuration.session = .persistent
        configuration.acknowledgement = acknowledgement
        configuration.clientID = "returning"
        try await withRunningClient(configuration) { client, _ in
            try await client.subscribe(to: "a", "b") { _ in try? await client.shutdown() }
        }
        for number in 0..<100 { broker.publish(topic: number % 2 == 0 ? "a" : "b", payload: "\(number)", qos: 1) }
        let client = MQTTClient(configuration, logger: quiet)
        let small = MQTTBufferPolicy(capacity: 16, whenFull: .pauseReading)
        func numbers(_ filter: MQTTSubscription) async throws -> [String] {
            try await client.subscribe(to: filter, buffer: small) { messages in
                #expect(messages.grantedReasonCodes == [.grantedQoS1])
                var numbers: [String] = []
                for await message in messages {
                    numbers.append(message.payloadString)
                    if numbers.count == 50 { break }
                }
                return numbers
            }
        }
        async let even = numbers("a")
        async let odd = numbers("b")
        try await client.start()
        #expect(try await even == stride(from: 0, to: 100, by: 2).map(String.init))
        #expect(try await odd == stride(from: 1, to: 100, by: 2).map(String.init))
        // The connection continues like any other.
        try await client.publish("alive", to: "c")
        try? await client.shutdown()
        await broker.stop()
    }
}

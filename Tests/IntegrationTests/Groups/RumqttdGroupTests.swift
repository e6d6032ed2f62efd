// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Testing
import Turns

@Suite("A consumer group of rumqttd", .turn(.brokers), .timeLimit(.minutes(2)))
struct RumqttdGroupTests {
    private func configuration(_ server: RealServer) -> MQTTClientConfiguration {
        var configuration = MQTTClientConfiguration(
            host: "localhost", port: server.port, tls: .init(trust: .pem(server.authority.certificatePEM)))
        configuration.version = .v3_1_1
        configuration.credentials = .static(username: "u", password: "p")
        return configuration
    }

    /// rumqttd does not answer the second UNSUBSCRIBE of a member that leaves.
    @Test func `loses nothing while it grows and shrinks under load`() async throws {
        let server = try await RealServer.start("rumqttd", files: [:])
        defer { server.stop() }
        let received = Tally()
        let options = MQTTConsumerGroupOptions(memberName: "worker", assumesSharedSubscriptions: true)
        try await withMQTTClient(configuration(server), logger: quiet) { publisher in
            try await withMQTTConsumerGroup(
                configuration(server), group: "workers", filters: ["jobs/#"], members: 2, options: options,
                logger: quiet
            ) { member in
                for await message in member.messages { received.add(Int(message.payloadString) ?? -1) }
            } during: { group in
                try await group.waitUntilConsuming()
                let publishing = Task {
                    for number in 0..<1_000 {
                        try await publisher.publish("\(number)", to: "jobs/\(number % 7)")
                        if number % 10 == 0 { try await Task.sleep(for: .milliseconds(10)) }
                    }
                }
                for count in [3, 1, 2] {
                    try await Task.sleep(for: .milliseconds(200))
                    try await group.scale(to: count)
                    #expect(group.members.count == count)
                }
                try await publishing.value
                #expect(await eventually(timeout: .seconds(60)) { received.distinct == 1_000 })
            }
        }
        #expect(received.missing(of: 0..<1_000) == [])
    }
}

// SPDX-License-Identifier: Apache-2.0

import Foundation
import Mosquitto
import MosquittoTesting
import Testing
import Turns

@testable import Soak

@Suite("A consumer group of a real mosquitto", .turn(.brokers), .timeLimit(.minutes(2)))
struct ConsumerGroupTests {
    /// mosquitto keeps 1,000 messages for a session by default, and drops further ones.
    private static let unlimited = "max_queued_messages 0"

    private func options(_ version: MQTTVersion) -> MQTTConsumerGroupOptions {
        MQTTConsumerGroupOptions(memberName: "worker", assumesSharedSubscriptions: version != .v5_0)
    }

    /// Returns true if the broker has a session of this name, which ends with the call.
    private func hasSession(_ name: String, _ broker: Broker) async throws -> Bool {
        var configuration = broker.configuration()
        configuration.clientID = name
        configuration.session = .persistent
        let client = MQTTClient(configuration, logger: quiet)
        try await client.start()
        let info = try await client.waitUntilConnected(timeout: .seconds(30))
        try await client.shutdown(MQTTDisconnect(sessionExpiry: .zero))
        return info.sessionPresent
    }

    @Test(arguments: [MQTTVersion.v5_0, .v3_1_1])
    func `loses nothing while it grows and shrinks under load, and leaves no session behind`(
        version: MQTTVersion
    ) async throws {
        let broker = try await Broker.start(extraConfiguration: Self.unlimited)
        let received = Tally()
        var configuration = broker.configuration(version: version)
        // mosquitto keeps part of a member's share, which it has to deliver after the UNSUBSCRIBE.
        configuration.receiving.receiveMaximum = 10
        try await withMQTTClient(broker.configuration(), logger: quiet) { [configuration] publisher in
            try await withMQTTConsumerGroup(
                configuration, group: "workers", filters: ["jobs/#"], members: 2, options: options(version),
                logger: quiet
            ) { member in
                for await message in member.messages {
                    received.add(Int(message.payloadString) ?? -1)
                    try await Task.sleep(for: .milliseconds(1))
                }
            } during: { group in
                try await group.waitUntilConsuming()
                let publishing = Task {
                    for number in 0..<3_000 {
                        try publisher.enqueue("\(number)", to: "jobs/\(number % 7)")
                        if number % 10 == 0 { try await Task.sleep(for: .milliseconds(10)) }
                    }
                }
                for count in [4, 1, 3, 2, 4, 1] {
                    try await Task.sleep(for: .milliseconds(200))
                    try await group.scale(to: count)
                    #expect(group.members.count == count)
                }
                try await publishing.value
                #expect(await eventually(timeout: .seconds(60)) { received.distinct == 3_000 })
            }
        }
        #expect(received.missing(of: 0..<3_000) == [])
        // Without a lost connection nothing comes twice.
        #expect(received.duplicates == [])
        for number in 1...3 { #expect(try await !hasSession("worker-\(number)", broker)) }
        #expect(try await hasSession("worker-0", broker))
    }

    #if os(Linux)
    /// The short form of `scripts/soak group`.
    @Test func `handles every message though its processes are killed`() async throws {
        let bundle = URL(fileURLWithPath: CommandLine.arguments[0])
        var run = GroupRun(executable: bundle.deletingLastPathComponent().appendingPathComponent("Soak").path)
        run.members = 3
        run.rate = 1_000
        run.duration = .seconds(8)
        run.killEvery = .seconds(2)
        run.down = .milliseconds(500)
        let tally = try await run.run()
        #expect(tally.kills == 3)
        #expect(tally.published == 8_001)
        #expect(tally.lost == 0)
        #expect(tally.shares.allSatisfy { $0 > 0 }, "\(tally.shares)")
        #expect(tally.exits == [0, 0, 0])
    }
    #endif
}

// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Testing
import Turns

@Suite("A consumer group and a broker without shared subscriptions", .turn(.scripted), .timeLimit(.minutes(1)))
struct WithoutSharedSubscriptionsTests {
    /// Shared Subscription Available (MQTT 5.0, section 3.2.2.3.13): no.
    private static let withoutSharing: [UInt8] = [0x2A, 0]

    private func failure(
        of group: String = "workers", _ broker: ScriptedBroker, version: MQTTVersion = .v5_0
    ) async -> MQTTError? {
        await #expect(throws: MQTTError.self) {
            try await withMQTTConsumerGroup(
                testConfiguration(port: broker.port, version: version, tls: nil), group: group, filters: ["jobs/#"],
                members: 2, logger: quiet
            ) { member in for await _ in member.messages {} }
        }
    }

    @Test func `fails before SUBSCRIBE if the CONNACK says so`() async throws {
        let broker = try await ScriptedBroker.start()
        broker.connackProperties = Self.withoutSharing
        let error = await failure(broker)
        #expect(error?.code == .operationRefused)
        #expect(error?.reasonCode == .sharedSubscriptionsNotSupported)
        #expect(error?.message.contains("subscribe with one client") == true, "\(error?.message ?? "")")
        #expect(broker.count(of: .subscribe) == 0)
        await broker.stop()
    }

    @Test func `fails in the same way if the SUBACK says so`() async throws {
        let broker = try await ScriptedBroker.withoutSuback()
        let failing = Task { await failure(broker) }
        #expect(await broker.waitUntil { $0.count(of: .subscribe) >= 1 })
        broker.answerLastSubscribe([0x9E])
        let error = await failing.value
        #expect(error?.code == .operationRefused)
        #expect(error?.reasonCode == .sharedSubscriptionsNotSupported)
        await broker.stop()
    }

    @Test func `fails if a later connection has none`() async throws {
        let broker = try await ScriptedBroker.start()
        let failing = Task { await failure(broker) }
        #expect(await broker.waitUntil { $0.count(of: .subscribe) == 2 })
        broker.connackProperties = Self.withoutSharing
        // Without the sessions the filters are asked for again.
        broker.setScript([.reply([0x20, 5, 0, 0, 2, 0x2A, 0], close: false)])
        broker.resetAll()
        #expect(await failing.value?.reasonCode == .sharedSubscriptionsNotSupported)
        await broker.stop()
    }

    @Test func `with MQTT 3.1.1, or under a name that is none, sends nothing at all`() async throws {
        let broker = try await ScriptedBroker.start()
        #expect(await failure(broker, version: .v3_1_1)?.code == .unsupported)
        #expect(await failure(of: "a/b", broker)?.code == .invalidConfiguration)
        #expect(broker.acceptedConnections == 0)
        await broker.stop()
    }
}

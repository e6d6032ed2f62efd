// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Testing
import Turns

@Suite("Subscriptions of an earlier client, and those that are refused", .turn(.scripted), .timeLimit(.minutes(1)))
struct UnsubscribeTests {
    private func configuration(_ broker: ScriptedBroker, _ version: MQTTVersion = .v5_0) -> MQTTClientConfiguration {
        var configuration = testConfiguration(port: broker.port, version: version, tls: nil)
        configuration.clientID = "same"
        configuration.session = .persistent
        return configuration
    }

    private func unsubscribes(_ broker: ScriptedBroker) -> Int {
        broker.receivedPackets.count { $0.type == .unsubscribe }
    }

    @Test(arguments: [MQTTVersion.v3_1_1, .v5_0])
    func `a session's subscription can be ended without being made again`(version: MQTTVersion) async throws {
        let broker = try await ScriptedBroker.start()
        try await withRunningClient(configuration(broker, version)) { client, _ in
            try await client.subscribe(to: "a") { _ in try? await client.shutdown() }
        }
        try await withRunningClient(configuration(broker, version)) { client, _ in
            let codes = try await client.unsubscribe(from: ["a", "never"])
            #expect(codes == (version == .v5_0 ? [.success, .noSubscriptionExisted] : [.success, .success]))
        }
        #expect(unsubscribes(broker) == 1)
        #expect(broker.receivedPackets.count { $0.type == .subscribe } == 1)
        await broker.stop()
    }

    @Test func `it waits for a connection`() async throws {
        let broker = try await ScriptedBroker.start(script: [.serve, .refuse(code: 0x88, close: true), .serve])
        try await withRunningClient(configuration(broker)) { client, _ in
            try await client.subscribe(to: "a") { _ in try? await client.shutdown() }
        }
        try await withRunningClient(configuration(broker)) { client, _ in
            let codes = try await client.unsubscribe(from: ["a"])
            #expect(codes == [.success])
        }
        #expect(unsubscribes(broker) == 1)
        await broker.stop()
    }

    @Test func `without a session there is nothing to end`() async throws {
        let broker = try await ScriptedBroker.start()
        try await withRunningClient(configuration(broker)) { client, _ in
            // Not yet connected: the broker is asked for its session first.
            let codes = try await client.unsubscribe(from: ["a"])
            #expect(codes == [.noSubscriptionExisted])
        }
        await broker.stop()
    }

    @Test func `a bad filter is refused at once, and a stopped client says so`() async throws {
        let broker = try await ScriptedBroker.start()
        let client = MQTTClient(configuration(broker), logger: quiet)
        await #expect(throws: MQTTError.self) { try await client.unsubscribe(from: ["a/#/b"]) }
        try await client.start()
        try? await client.shutdown()
        let error = await #expect(throws: MQTTError.self) { try await client.unsubscribe(from: ["a"]) }
        #expect(error?.code == .stopped)
        await broker.stop()
    }

    @Test func `an error names the filters that were refused`() async throws {
        let broker = try await ScriptedBroker.start()
        // Wildcard Subscription Available: no.
        broker.connackProperties = [0x28, 0]
        try await withRunningClient(configuration(broker)) { client, _ in
            let error = await #expect(throws: MQTTError.self) {
                try await client.subscribe(to: "b", "a/#") { _ in }
            }
            #expect(error?.code == .operationRefused)
            #expect(error?.refusedFilters == ["a/#"])
        }
        await broker.stop()
    }
}

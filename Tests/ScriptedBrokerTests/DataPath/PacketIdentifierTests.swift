// SPDX-License-Identifier: Apache-2.0

import MosquittoTesting
import Testing

@testable import Mosquitto

extension DataPath.UnderLoad {
    @Suite("Packet identifiers")
    struct PacketIdentifierTests {
        /// libmosquitto counts through 65,535 identifiers, for QoS 0 too, and does not check whether one is in use.
        @Test func `one unacknowledged message and 70,000 others do not collide`() async throws {
            let broker = try await ScriptedBroker.start(tls: TestTLS.identity, script: [.withholdFirstAcknowledgement])
            broker.recordPublishes = false
            try await withRunningClient(testConfiguration(port: broker.port)) { client, _ in
                let stuck = Task { try await client.publish("stuck", to: "stuck", qos: .atLeastOnce) }
                #expect(await broker.waitUntil { $0.publishCount == 1 })
                for number in 0..<70_000 { try client.enqueue("\(number)", to: "a", qos: .atMostOnce) }
                #expect(await broker.waitUntil(timeout: .seconds(120)) { $0.publishCount == 70_001 })
                try await client.publish("another", to: "a", qos: .atLeastOnce)
                broker.dropAll()
                broker.setScript([.serve])
                #expect(try await stuck.value.reasonCode == .success)
            }
            await broker.stop()
        }

        @Test(arguments: MQTTVersion.allCases)
        func `a packet identifier that is in use is left out, and others go on`(version: MQTTVersion) async throws {
            let broker = try await ScriptedBroker.start(
                tls: TestTLS.identity, script: [.withholdFirstAcknowledgement, .serve])
            broker.recordPublishes = false
            var configuration = testConfiguration(port: broker.port, version: version)
            configuration.keepAlive = .zero
            try await withRunningClient(configuration) { client, _ in
                try await client.waitUntilConnected(timeout: .seconds(30))
                let stuck = Task { try await client.publish("stuck", to: "a", qos: .atLeastOnce) }
                #expect(await broker.waitUntil { $0.publishCount == 1 })
                // Up to 50 before the last. The rest sends no QoS 0, whose identifiers are invisible: each message takes one.
                await client.session.countPacketIdentifiers(Int(UInt16.max) - 51)
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for worker in 0..<8 {
                        group.addTask {
                            for _ in 0..<250 { try await client.publish("x", to: "b/\(worker)", qos: .atLeastOnce) }
                        }
                    }
                    try await group.waitForAll()
                }
                try await client.subscribe(to: "c") { _ in }
                #expect(broker.publishCount == 2_001)
                broker.resetAll()
                #expect(try await stuck.value.reasonCode == .success)
            }
            await broker.stop()
        }
    }
}

extension Session {
    /// Counts as many identifiers as so many messages of QoS 0 do.
    fileprivate func countPacketIdentifiers(_ count: Int) {
        for _ in 0..<count { publisher.identifiers.count() }
    }
}

// SPDX-License-Identifier: Apache-2.0

import MosquittoTesting
import Testing
import Turns

@testable import Mosquitto

extension Session {
    fileprivate func count(from packetID: UInt16) { publisher.identifiers.restart(after: packetID) }
}

@Suite(
    "The packet identifier of a publish that was given up is not used again in its session (core 7)", .turn(.scripted))
struct BurnedIdentifierTests {
    /// The identifiers of publishes to a topic of one letter.
    private func packetIDs(_ broker: ScriptedBroker, _ topic: String) -> [UInt8] {
        broker.receivedPackets.filter { $0.type == .publish && $0.bytes[4...].starts(with: topic.utf8) }
            .map { $0.bytes[6] }
    }

    @Test func `as long as the broker has the session`() async throws {
        let broker = try await ScriptedBroker.start()
        broker.objections = [.init(.publish(to: "x"))]
        var configuration = testConfiguration(port: broker.port, tls: nil)
        configuration.clientID = "kept"
        configuration.session = .persistent
        try await withRunningClient(configuration) { client, _ in
            await #expect(throws: MQTTError.self) { try await client.publish("1", to: "x", qos: .exactlyOnce) }
            let burned = try #require(packetIDs(broker, "x").last)
            #expect(Set(packetIDs(broker, "x")).count == 1)
            // 0 would be the start of a session, for which the identifiers begin anywhere.
            await client.session.count(from: burned == 1 ? .max : UInt16(burned) - 1)
            try await client.publish("1", to: "a")
            #expect(packetIDs(broker, "a") == [burned + 1])
        }
        await broker.stop()
    }
}

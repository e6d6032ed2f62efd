// SPDX-License-Identifier: Apache-2.0

import MosquittoTesting
import Synchronization
import Testing
import Turns

@testable import Mosquitto

@Suite(
    "A full queue that drops QoS 0 takes each new message, and tells of the old ones (newcomer D4, D5)",
    .turn(.scripted))
struct DroppedMessageTests {
    private func configuration(_ port: Int, _ maximumMessages: Int) -> MQTTClientConfiguration {
        var configuration = testConfiguration(port: port, tls: nil)
        configuration.publishing.queue = MQTTQueuePolicy(maximumMessages: maximumMessages, whenFull: .dropOldestQoS0)
        return configuration
    }

    private func drops(_ log: EventLog) async -> [Int] {
        await log.events.compactMap { if case .messagesDropped(let dropped) = $0.kind { dropped.count } else { nil } }
    }

    @Test func `with one event at once, and one for the rest`() async throws {
        let client = MQTTClient(configuration(try freePort(), 100), logger: quiet)
        let log = EventLog(client)
        try await withRunning(client) { client, _ in
            for number in 0..<101 { try client.enqueue("\(number)", to: "a", qos: .atMostOnce) }
            #expect(await log.wait { $0.names.contains("messagesDropped") })
            for number in 0..<900 { try client.enqueue("\(number)", to: "a", qos: .atMostOnce) }
        }
        #expect(await log.wait { $0.names.last == "stopped" })
        #expect(await drops(log) == [1, 900])
    }

    @Test func `while a connection comes and goes, nothing is refused`() async throws {
        let broker = try await ScriptedBroker.start()
        broker.recordPublishes = false
        try await withRunningClient(configuration(broker.port, 50)) { client, log in
            var refused = 0
            for round in 0..<3 {
                try await client.waitUntilConnected(timeout: .seconds(30))
                for number in 0..<scaled(20_000) {
                    do throws(MQTTError) {
                        try client.enqueue("\(number)", to: "a", qos: .atMostOnce)
                    } catch {
                        refused += 1
                    }
                }
                broker.resetAll()
                #expect(await log.wait { $0.disconnections.count == round + 1 })
            }
            #expect(refused == 0)
        }
        await broker.stop()
    }
}

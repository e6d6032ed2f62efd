// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Testing
import Turns

@Suite("Two clients with one identifier at a real mosquitto", .turn(.brokers))
struct TakeoverTests {
    /// mosquitto 2.0.11 closes the older connection without a DISCONNECT, with MQTT 5.0 too.
    @Test(arguments: [MQTTVersion.v3_1_1, .v5_0])
    func `are told of each other by the fifth end, and go on slowly (D3)`(version: MQTTVersion) async throws {
        let broker = try await Broker.start()
        var configuration = broker.configuration(version: version)
        configuration.clientID = "twin"
        let clients = (0..<2).map { _ in MQTTClient(configuration, logger: quiet) }
        let ends = await withTaskGroup(of: [MQTTDisconnection].self) { group in
            for client in clients {
                let events = client.events()
                group.addTask {
                    var ends: [MQTTDisconnection] = []
                    for await event in events {
                        guard case .disconnected(let end) = event.kind else { continue }
                        ends.append(end)
                        if end.error.code == .sessionTakenOver { break }
                    }
                    return ends
                }
                group.addTask {
                    _ = try? await client.run()
                    return []
                }
            }
            // The first of them to be told; its last error says why.
            var told: [MQTTDisconnection] = []
            while let ends = await group.next() {
                if ends.last?.error.code == .sessionTakenOver {
                    told = ends
                    break
                }
            }
            group.cancelAll()
            return told
        }
        let last = try #require(ends.last)
        #expect(ends.count <= 5)
        // A broker that reports the takeover with a DISCONNECT, as mosquitto 2.1 does, stops the client instead.
        let isTold = last.error.reasonCode == .sessionTakenOver
        #expect(last.error.message.contains(isTold ? "Session taken over" : "client identifier"))
        #expect(last.decision == (last.error.reasonCode == .sessionTakenOver ? .stop : .retry(.slow)))
    }
}

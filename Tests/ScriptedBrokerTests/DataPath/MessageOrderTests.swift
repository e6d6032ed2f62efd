// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Testing

extension DataPath.UnderLoad {
    @Suite("Order is kept", .timeLimit(.minutes(3)))
    struct MessageOrderTests {
        @Test(arguments: Wire.allCases)
        func `20,000 messages of QoS 0 and 1 in turn arrive in the order of the calls`(wire: Wire) async throws {
            let broker = try await ScriptedBroker.start(tls: wire.identity, webSocket: wire.webSocket)
            let proxy = try TCPProxy(to: broker.port, plan: .init(pieces: .random(seed: 11)))
            let count = scaled(20_000)
            try await withBusyClient(configuration(of: proxy, wire)) { client, _ in
                for number in 0..<count {
                    try client.enqueue("\(number)", to: "a", qos: number.isMultiple(of: 2) ? .atMostOnce : .atLeastOnce)
                }
                #expect(await broker.waitUntil(timeout: .seconds(120)) { $0.publishCount >= count })
            }
            let publishes = broker.publishes
            #expect(publishes.count == count)
            let stranger = publishes.enumerated().first { $0.element.text != "\($0.offset)" }
            #expect(stranger == nil, "the first one out of order is \(stranger as Any)")
            await broker.stop()
        }
    }
}

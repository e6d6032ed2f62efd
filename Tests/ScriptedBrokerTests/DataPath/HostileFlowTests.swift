// SPDX-License-Identifier: Apache-2.0

import MosquittoTesting
import Testing

@testable import Mosquitto

extension DataPath.UnderLoad {
    @Suite("A broker that sends without end and reads nothing", .timeLimit(.minutes(3)))
    struct HostileFlowTests {
        /// QoS 1, no payload, to the topic "a", in the shape of MQTT 5.0: 8 bytes, for which a PUBACK takes 4, and up to 26 if it
        /// is in a TLS record of its own.
        private static let publishes = (1...16_384).flatMap { number -> [UInt8] in
            [0x32, 6, 0, 1, 0x61, UInt8(number >> 8), UInt8(number & 0xFF), 0]
        }

        /// A broker that respects Receive Maximum, or has 65,535 packet identifiers, makes at most 1.7 MB of
        /// acknowledgements due. Without TLS they are smaller than what they answer.
        @Test(arguments: Wire.tls)
        func `has no more than so many acknowledgements kept for it`(wire: Wire) async throws {
            let broker = try await ScriptedBroker.start(tls: wire.identity, webSocket: wire.webSocket)
            let proxy = try TCPProxy(to: broker.port, kernelBuffer: 65_536)
            try await withBusyClient(configuration(of: proxy, wire)) { client, _ in
                try await client.waitUntilConnected(timeout: .seconds(30))
                proxy.set(.toBroker, .shut)
                var injected = 0
                // 32 megabytes of them, and at least 16 of acknowledgements.
                for _ in 0..<256 where await client.session.isReading {
                    broker.inject(Self.publishes)
                    injected += Self.publishes.count
                    // The client either accepts the messages or stops reading.
                    try #require(
                        await eventually {
                            let isTaken = proxy[.toClient].sent >= injected
                            let isReading = await client.session.isReading
                            return isTaken || !isReading
                        })
                }
                #expect(await !client.session.isReading, "\(injected) bytes were taken")
                #expect(client.state.isConnected)
                proxy.set(.toBroker, .open)
                #expect(await eventually { await client.session.isReading })
                // The broker would take half a minute to decode the rest.
                proxy.end(.reset)
            }
            await broker.stop()
        }

        @Test(arguments: Wire.allCases) func `does not keep a client from its end`(wire: Wire) async throws {
            let broker = try await ScriptedBroker.start(tls: wire.identity, webSocket: wire.webSocket)
            broker.recordPublishes = false
            let proxy = try TCPProxy(to: broker.port)
            try await withBusyClient(configuration(of: proxy, wire)) { client, log in
                try await client.subscribe(to: MQTTSubscription("down", qos: .atMostOnce)) { messages in
                    let publisher = Task {
                        var number = 0
                        while !Task.isCancelled {
                            _ = await eventually(pollEvery: .milliseconds(1)) {
                                number * NumberedPayload.size - proxy[.toClient].received < 4 << 20
                            }
                            broker.publish(topic: "down", payload: NumberedPayload.make(number))
                            number += 1
                        }
                    }
                    #expect(await messages.first { _ in true } != nil)
                    // The broker continues, since it receives no DISCONNECT.
                    proxy.set(.toBroker, .shut)
                    let start = ContinuousClock.now
                    try? await client.shutdown()
                    let time = ContinuousClock.now - start
                    #expect(time < .seconds(5), "the broker has 1 s to close, which it did not; it took \(time)")
                    publisher.cancel()
                    await publisher.value
                }
            }
            proxy.set(.toBroker, .open)
            await broker.stop()
        }
    }
}

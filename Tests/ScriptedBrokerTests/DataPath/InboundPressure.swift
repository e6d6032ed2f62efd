// SPDX-License-Identifier: Apache-2.0

import MosquittoTesting
import Testing

@testable import Mosquitto

/// A broker that publishes 64 MB to a client whose consumer does not read at first.
struct InboundPressure {
    static let count = (64 << 20) / NumberedPayload.size

    let broker: ScriptedBroker
    let proxy: TCPProxy
    let client: MQTTClient
    let messages: MQTTMessages

    static func run<R: Sendable>(_ wire: Wire, _ body: (InboundPressure) async throws -> R) async throws -> R {
        let broker = try await ScriptedBroker.start(tls: wire.identity, webSocket: wire.webSocket)
        broker.recordPublishes = false
        let proxy = try TCPProxy(to: broker.port, kernelBuffer: 65_536)
        let buffer = MQTTBufferPolicy(capacity: 16, whenFull: .pauseReading)
        let result = try await withBusyClient(configuration(of: proxy, wire)) { client, _ in
            try await client.subscribe(to: MQTTSubscription("down", qos: .atMostOnce), buffer: buffer) { messages in
                // Messages that the broker has accepted and the proxy has not seen occupy the test's own memory.
                let publisher = Task {
                    for number in 0..<count {
                        let isDue = await eventually(pollEvery: .milliseconds(1)) {
                            number * NumberedPayload.size - proxy[.toClient].received < 1 << 20
                        }
                        if !isDue { return }
                        broker.publish(topic: "down", payload: NumberedPayload.make(number))
                    }
                }
                let result = try await body(
                    InboundPressure(broker: broker, proxy: proxy, client: client, messages: messages))
                publisher.cancel()
                return result
            }
        }
        await broker.stop()
        return result
    }

    /// Waits until the client has stopped reading, and returns the number of bytes that the client and its kernel have
    /// accepted.
    func taken() async throws -> Int {
        #expect(await eventually { await !client.session.isReading })
        return try await settled { proxy[.toClient].sent }
    }

    func readAll() async -> [Int?] {
        var numbers: [Int?] = []
        for await message in messages {
            numbers.append(NumberedPayload.number(of: message.payload))
            if numbers.count == Self.count { break }
        }
        return numbers
    }
}

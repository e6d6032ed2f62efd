// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Testing

extension DataPath.UnderLoad {
    @Suite("What came before the end of a connection is delivered", .timeLimit(.minutes(1)))
    struct LastWordsTests {
        @Test(arguments: Wire.allCases)
        func `messages, close_notify and FIN in one segment`(wire: Wire) async throws {
            let broker = try await ScriptedBroker.start(
                tls: wire.identity, webSocket: wire.webSocket, script: [.goodbye])
            let proxy = try TCPProxy(to: broker.port)
            var configuration = configuration(of: proxy, wire)
            configuration.version = .v3_1_1
            try await withBusyClient(configuration) { client, log in
                let received = try await client.subscribe(to: "a") { messages in
                    proxy.set(.toClient, .collecting)
                    for number in 0..<10 { broker.publish(topic: "a", payload: "\(number)") }
                    #expect(await broker.waitUntil { $0.routedCount == 10 })
                    try client.enqueue("bye", to: "b")
                    #expect(await eventually { proxy[.toClient].hasEnded })
                    proxy.set(.toClient, .open)
                    var received: [String] = []
                    for await message in messages { received.append(message.payloadString) }
                    return received
                }
                #expect(received == (0..<10).map(String.init))
                #expect(await log.wait { $0.stopped != nil })
                #expect(await log.terminalError?.code == .closed)
                #expect(await log.terminalError?.phase == .connected)
            }
            await broker.stop()
        }

        struct Situation: Sendable, CustomTestStringConvertible {
            let qos: UInt8
            /// If the client does not read, its kernel still holds all bytes.
            let isReading: Bool

            var testDescription: String { "QoS \(qos), \(isReading ? "reading" : "full")" }

            static let all = [
                Situation(qos: 0, isReading: true), Situation(qos: 0, isReading: false),
                // Acknowledgements that can no longer be sent.
                Situation(qos: 1, isReading: true), Situation(qos: 1, isReading: false),
            ]
        }

        /// More than one read takes.
        @Test(arguments: Wire.allCases, Situation.all)
        func `messages and RST`(wire: Wire, situation: Situation) async throws {
            let broker = try await ScriptedBroker.start(tls: wire.identity, webSocket: wire.webSocket)
            let proxy = try TCPProxy(to: broker.port)
            let buffer = MQTTBufferPolicy(capacity: situation.isReading ? 4_096 : 1, whenFull: .pauseReading)
            let before = 256
            let count = before + 40
            try await withBusyClient(configuration(of: proxy, wire)) { client, log in
                let received = try await client.subscribe(to: "a", buffer: buffer) { messages in
                    // The kernel enlarges its buffer for a program that reads much.
                    publish(0..<before, to: broker, situation.qos)
                    var received = await numbers(messages, until: before)
                    proxy.set(.toClient, .collecting)
                    let start = proxy[.toClient].received
                    publish(before..<count, to: broker, situation.qos)
                    try #require(
                        await eventually {
                            proxy[.toClient].received - start >= (count - before) * NumberedPayload.size
                        })
                    proxy.end(.reset, afterDelivery: true)
                    proxy.set(.toClient, .open)
                    try #require(await eventually { !proxy.isConnected })
                    received += await numbers(messages, until: .max)
                    // The client's kernel has the acknowledged bytes. The others belong to the last messages.
                    let missing = proxy[.toClient].received - proxy[.toClient].acknowledged
                    let lost = missing == 0 ? 0 : missing / NumberedPayload.size + 1
                    #expect(received.count >= count - lost)
                    return received
                }
                #expect(received == Array(0..<received.count))
                #expect(await log.wait { $0.stopped != nil })
                #expect(await log.terminalError?.code == .closed)
            }
            await broker.stop()
        }

        private func publish(_ numbers: Range<Int>, to broker: ScriptedBroker, _ qos: UInt8) {
            for number in numbers { broker.publish(topic: "a", payload: NumberedPayload.make(number), qos: qos) }
        }

        /// Reads this number of messages, or until the sequence ends with the client.
        private func numbers(_ messages: MQTTMessages, until count: Int) async -> [Int?] {
            var numbers: [Int?] = []
            for await message in messages {
                numbers.append(NumberedPayload.number(of: message.payload))
                if numbers.count == count { break }
            }
            return numbers
        }
    }
}

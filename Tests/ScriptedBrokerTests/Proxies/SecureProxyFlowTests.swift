// SPDX-License-Identifier: Apache-2.0

import MosquittoTesting
import Testing

@testable import Mosquitto

extension DataPath.UnderLoad {
    /// TLS in TLS under load: the proxy in front of the client's port is slow, shut, or gone.
    @Suite("A slow way to a proxy with TLS", .serialized, .timeLimit(.minutes(2)))
    struct SecureProxyFlowTests {
        @Test(arguments: [Wire.tls13, .wss])
        func `a consumer that does not read holds the broker back, and gets all in order`(wire: Wire) async throws {
            let count = 1_024
            try await SecureProxy.run(wire) { peers in
                peers.broker.recordPublishes = false
                let front = try TCPProxy(to: peers.proxy.port, kernelBuffer: 65_536)
                let buffer = MQTTBufferPolicy(capacity: 16, whenFull: .pauseReading)
                try await withBusyClient(peers.configuration(port: front.port)) { client, _ in
                    try await client.subscribe(to: MQTTSubscription("down", qos: .atMostOnce), buffer: buffer) {
                        messages in
                        for number in 0..<count {
                            peers.broker.publish(topic: "down", payload: NumberedPayload.make(number))
                        }
                        #expect(await eventually { await !client.session.isReading })
                        let taken = try await settled { front[.toClient].sent }
                        #expect(taken > 16 * NumberedPayload.size && taken < 8 << 20, "\(taken) bytes were taken")
                        var numbers: [Int?] = []
                        for await message in messages {
                            numbers.append(NumberedPayload.number(of: message.payload))
                            if numbers.count == count { break }
                        }
                        #expect(numbers == Array(0..<count))
                    }
                }
            }
        }

        @Test(arguments: [Wire.tls13, .wss])
        func `a proxy that does not read is not buffered for without bound, and then gets all`(wire: Wire) async throws
        {
            try await SecureProxy.run(wire) { peers in
                let front = try TCPProxy(to: peers.proxy.port, kernelBuffer: 65_536)
                var configuration = peers.configuration(port: front.port)
                configuration.publishing.queue.maximumMessages = 64
                configuration.timeouts.drain = .seconds(30)
                try await withBusyClient(configuration) { client, log in
                    try await client.waitUntilConnected(timeout: .seconds(60))
                    front.set(.toBroker, .shut)
                    var sent = 0
                    var last = ContinuousClock.now
                    while sent < 2_048, ContinuousClock.now - last < .milliseconds(500) {
                        do throws(MQTTError) {
                            try client.enqueue(NumberedPayload.make(sent), to: "up", qos: .atMostOnce)
                            sent += 1
                            last = .now
                        } catch {
                            try #require(error.code == .queueFull)
                            try await Task.sleep(for: .milliseconds(1))
                        }
                    }
                    #expect(sent >= 64 && sent * NumberedPayload.size < 16 << 20, "\(sent) messages were taken")
                    front.set(.toBroker, .open)
                    // A shutdown waits for the proxy to take everything, DISCONNECT last.
                    try await client.shutdown()
                    #expect(await peers.broker.waitUntil { $0.disconnects == [0] })
                    #expect(peers.broker.publishes.map { NumberedPayload.number(of: $0.payload) } == Array(0..<sent))
                    #expect(await log.failures.isEmpty)
                }
            }
        }

        @Test(arguments: Wire.allCases)
        func `a message larger than a slow link carries in a second arrives before DISCONNECT`(wire: Wire) async throws
        {
            try await SecureProxy.run(wire) { peers in
                let front = try TCPProxy(
                    to: peers.proxy.port, plan: .init(bytesPerSecond: 2 << 20), kernelBuffer: 65_536)
                let client = MQTTClient(peers.configuration(port: front.port), logger: quiet)
                try await client.start()
                try client.enqueue([UInt8](repeating: 1, count: 3 << 20), to: "large", qos: .atMostOnce)
                try await client.waitUntilConnected(timeout: .seconds(60))
                try await client.shutdown()
                #expect(await peers.broker.waitUntil { $0.disconnects == [0] })
                #expect(peers.broker.publishes.map(\.payload.count) == [3 << 20])
            }
        }

        @Test(arguments: Wire.allCases, [true, false])
        func `a broker that closes, and a proxy that is gone, are noticed at once`(
            wire: Wire, isProxy: Bool
        ) async throws {
            try await SecureProxy.run(wire) { peers in
                let front = try TCPProxy(to: peers.proxy.port)
                var configuration = peers.configuration(port: front.port)
                configuration.retry = .none
                try await withRunningClient(configuration) { client, log in
                    try await client.waitUntilConnected(timeout: .seconds(60))
                    if isProxy { front.finish() } else { peers.broker.dropAll() }
                    #expect(await log.wait(timeout: .seconds(10)) { $0.stopped != nil })
                    let error = try #require(await log.terminalError)
                    #expect(error.code == .closed && error.phase == .connected, "\(error)")
                }
            }
        }

        @Test(arguments: [Wire.plain, .tls13]) func `messages before the end of a broker are delivered`(
            wire: Wire
        ) async throws {
            try await SecureProxy.run(wire, broker: [.goodbye]) { peers in
                let front = try TCPProxy(to: peers.proxy.port)
                var configuration = peers.configuration(port: front.port)
                configuration.version = .v3_1_1
                configuration.retry = .none
                try await withBusyClient(configuration) { client, log in
                    let received = try await client.subscribe(to: "a") { messages in
                        front.set(.toClient, .collecting)
                        for number in 0..<10 { peers.broker.publish(topic: "a", payload: "\(number)") }
                        #expect(await peers.broker.waitUntil { $0.routedCount == 10 })
                        try client.enqueue("bye", to: "b")
                        #expect(await eventually { front[.toClient].hasEnded })
                        front.set(.toClient, .open)
                        var received: [String] = []
                        for await message in messages { received.append(message.payloadString) }
                        return received
                    }
                    #expect(received == (0..<10).map(String.init))
                    #expect(await log.wait { $0.stopped != nil })
                    #expect(await log.terminalError?.code == .closed)
                }
            }
        }

        /// TLS with the proxy finds out the bytes that are changed on the way, whether they are its own or the broker's.
        @Test(arguments: 0..<8) func `a changed record ends the connection with an error`(record: Int) async throws {
            try await SecureProxy.run(.wss) { peers in
                let plan = TCPProxy.Plan(flip: .init(.init(record: record, byte: 5), mask: 0x10))
                let front = try TCPProxy(to: peers.proxy.port, plan: plan)
                var configuration = peers.configuration(port: front.port)
                configuration.retry = .none
                // Nothing has to be waited for.
                configuration.timeouts.connect = .seconds(15)
                configuration.timeouts.tlsHandshake = .seconds(15)
                configuration.timeouts.connack = .seconds(15)
                try await withRunningClient(configuration) { client, log in
                    for number in 0..<20 { try? client.enqueue("\(number)", to: "a") }
                    #expect(await log.wait(timeout: .seconds(20)) { $0.stopped != nil })
                    let error = try #require(await log.terminalError)
                    #expect([.proxy, .closed, .timeout].contains(error.code), "\(error)")
                    if error.code == .proxy { #expect(error.tls?.isProxy == true, "\(error)") }
                    #expect(front.hasFlipped)
                }
            }
        }
    }
}

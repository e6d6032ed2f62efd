// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Testing

extension DataPath {
    @Suite("A connection that has half ended costs no CPU", .timeLimit(.minutes(1)))
    struct HalfClosedCostTests {
        /// Measures the processor time that the loop's thread uses in a second.
        private func cost(_ probe: LoopProbe) async throws -> Duration {
            let before = await probe.cpuTime
            try await Task.sleep(for: .seconds(1))
            return await probe.cpuTime - before
        }

        /// The end of the stream follows messages that no consumer takes: it cannot be read yet, and must not be polled
        /// for.
        @Test(arguments: Wire.allCases, HalfClose.allCases)
        func `while a consumer is full, and is seen when it goes on`(wire: Wire, half: HalfClose) async throws {
            if !wire.isTLS, half != .fin { return }
            let loop = MosquittoEventLoop(name: "half-closed")
            let probe = LoopProbe(loop)
            let broker = try await ScriptedBroker.start(
                tls: wire.identity, webSocket: wire.webSocket, script: [half == .fin ? .serve : .goodbye])
            let proxy = try TCPProxy(to: broker.port, plan: .init(hidesEnd: half == .closeNotify))
            var configuration = configuration(of: proxy, wire)
            configuration.version = .v3_1_1
            let client = MQTTClient(configuration, eventLoop: loop, logger: quiet)
            let buffer = MQTTBufferPolicy(capacity: 1, whenFull: .pauseReading)
            let count = 64
            try await withRunning(client) { client, log in
                let received = try await client.subscribe(to: "a", buffer: buffer) { messages in
                    for number in 0..<count { broker.publish(topic: "a", payload: NumberedPayload.make(number)) }
                    if half == .fin {
                        #expect(await eventually { proxy[.toClient].sent >= count * NumberedPayload.size })
                        proxy.finish()
                    } else {
                        #expect(await broker.waitUntil { $0.routedCount == count })
                        // No call waits for its answer: reading would otherwise continue.
                        try client.enqueue("bye", to: "b", qos: .atMostOnce)
                        #expect(await eventually { proxy[.toClient].hasEnded })
                    }
                    let used = try await cost(probe)
                    #expect(used < .milliseconds(20), "the loop used \(used)")
                    #expect(client.state.isConnected)
                    var received: [Int?] = []
                    for await message in messages { received.append(NumberedPayload.number(of: message.payload)) }
                    return received
                }
                #expect(received == Array(0..<count))
                #expect(await log.wait { $0.stopped != nil })
                #expect(await log.terminalError?.code == .closed)
            }
            await broker.stop()
        }

        /// The client has left, and the proxy, which still reads, has not.
        @Test(arguments: Wire.allCases) func `while the client waits for its next attempt`(wire: Wire) async throws {
            let loop = MosquittoEventLoop(name: "half-closed")
            let probe = LoopProbe(loop)
            let broker = try await ScriptedBroker.start(tls: wire.identity, webSocket: wire.webSocket)
            let proxy = try TCPProxy(to: broker.port)
            var configuration = configuration(of: proxy, wire)
            configuration.retry = .production
            configuration.retry.minimumDelay = .seconds(60)
            configuration.retry.maximumDelay = .seconds(60)
            try await withRunning(MQTTClient(configuration, eventLoop: loop, logger: quiet)) { client, log in
                try await client.waitUntilConnected(timeout: .seconds(30))
                proxy.finish()
                #expect(await log.wait { !$0.disconnections.isEmpty })
                let used = try await cost(probe)
                #expect(used < .milliseconds(20), "the loop used \(used)")
            }
            await broker.stop()
        }
    }
}

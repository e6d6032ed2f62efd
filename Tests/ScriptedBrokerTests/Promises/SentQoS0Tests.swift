// SPDX-License-Identifier: Apache-2.0

import MosquittoTesting
import Synchronization
import Testing

@testable import Mosquitto

extension DataPath.UnderLoad {
    @Suite("QoS 0 has succeeded when the kernel has all of it", .timeLimit(.minutes(1)))
    struct SentQoS0Tests {
        @Test(arguments: Wire.allCases)
        func `a large message waits for the broker to read`(wire: Wire) async throws {
            try await OutboundPressure.run(wire) { pressure in
                pressure.proxy.set(.toBroker, .shut)
                let isDone = Atomic(false)
                async let call: Void = {
                    try await pressure.client.publish([UInt8](repeating: 7, count: 8 << 20), to: "a", qos: .atMostOnce)
                    isDone.store(true, ordering: .releasing)
                }()
                #expect(await eventually { await pressure.client.session.isStuckInSocket })
                #expect(await pressure.client.session.unsentMessages == 1)
                let isEarly = isDone.load(ordering: .acquiring)
                #expect(!isEarly)
                pressure.proxy.set(.toBroker, .open)
                try await call
                #expect(await pressure.client.session.unsentMessages == 0)
                #expect(await pressure.broker.waitUntil { $0.publishCount == 1 })
            }
        }

        @Test func `a shutdown that cannot send it is no success`() async throws {
            let broker = try await ScriptedBroker.start()
            let proxy = try TCPProxy(to: broker.port, kernelBuffer: 65_536)
            var configuration = configuration(of: proxy, .plain)
            configuration.timeouts.drain = .milliseconds(200)
            configuration.timeouts.close = .milliseconds(200)
            try await withBusyClient(configuration) { client, _ in
                try await client.waitUntilConnected(timeout: .seconds(30))
                proxy.set(.toBroker, .shut)
                let call = Task {
                    try await client.publish([UInt8](repeating: 7, count: 8 << 20), to: "a", qos: .atMostOnce)
                }
                #expect(await eventually { await client.session.isStuckInSocket })
                try? await client.shutdown()
                let error = await #expect(throws: MQTTError.self) { try await call.value }
                #expect(error?.code == .stopped)
            }
            await broker.stop()
        }

        /// A connection that is lost takes with it whatever the kernels had, and no more.
        @Test(arguments: Wire.allCases, [MQTTSession.clean, .persistent])
        func `messages that did not leave the process are sent on the next connection, once and in order`(
            wire: Wire, session: MQTTSession
        ) async throws {
            let broker = try await ScriptedBroker.start(tls: wire.identity, webSocket: wire.webSocket)
            let proxy = try TCPProxy(to: broker.port, kernelBuffer: 65_536)
            var configuration = configuration(of: proxy, wire)
            configuration.retry = testConfiguration(port: 1).retry
            configuration.session = session
            try await withBusyClient(configuration) { client, log in
                try await client.waitUntilConnected(timeout: .seconds(30))
                proxy.set(.toBroker, .shut)
                let count = 600
                for number in 0..<count {
                    let qos: MQTTQoS = number % 10 == 9 ? .atLeastOnce : .atMostOnce
                    try client.enqueue(NumberedPayload.make(number), to: "a/long/topic/with/an/alias", qos: qos)
                }
                #expect(await eventually { await client.session.isBacklogged })
                let unsent = try await settled { await client.session.unsentAtMostOnce }
                #expect(unsent > 60)
                proxy.end(.reset, afterDelivery: true)
                #expect(await log.wait { $0.disconnections.count == 1 })
                proxy.set(.toBroker, .open)
                #expect(await broker.waitUntil { $0.publishes.last?.payload == NumberedPayload.make(count - 1) })
                let all = broker.publishes.compactMap { NumberedPayload.number(of: $0.payload) }
                #expect(Set(all).isSuperset(of: stride(from: 9, to: count, by: 10)), "of QoS 1, nothing is lost")
                let numbers = all.filter { $0 % 10 != 9 }
                #expect(numbers == Set(numbers).sorted(), "nothing comes twice, or late")
                #expect(numbers.suffix(unsent) == (0..<count).filter { $0 % 10 != 9 }.suffix(unsent))
            }
            await broker.stop()
        }
    }
}

extension Session {
    fileprivate var isBacklogged: Bool { connection?.isBacklogged == true }

    /// Messages of QoS 0 of which bytes are missing, of ten in a row that have nine; but for a write of 64 KiB, which may be sent in part.
    fileprivate var unsentAtMostOnce: Int { publisher.unsent.count - 5 + shared.queue.length * 9 / 10 }
}

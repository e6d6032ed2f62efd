// SPDX-License-Identifier: Apache-2.0

import MosquittoTesting
import Testing

@testable import Mosquitto

extension DataPath {
    @Suite("A broker that falls silent is left at a deadline, wherever it stopped", .timeLimit(.minutes(1)))
    struct StalledCiphertextTests {
        /// Stops the broker's stream at a sample of the bytes before CONNACK.
        @Test(arguments: Wire.encrypted) func `before there is a connection`(wire: Wire) async throws {
            let experiment = try await FlipExperiment(wire)
            var generator = JitterGenerator(seed: 3)
            let addresses = experiment.addresses.filter { $0.record < experiment.suback }
                .shuffled(using: &generator).prefix(24)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for address in addresses {
                    group.addTask {
                        let name = "\(address.record)-\(address.byte)"
                        let proxy = try experiment.makeProxy(name, .init(end: address, hidesEnd: true))
                        var configuration = configuration(of: proxy, wire)
                        configuration.timeouts.tlsHandshake = .milliseconds(500)
                        configuration.timeouts.upgrade = .milliseconds(500)
                        configuration.timeouts.connack = .milliseconds(500)
                        let (error, log) = try await runUntilStopped(configuration)
                        #expect(error?.code == .timeout, "\(address): \(error as Any)")
                        #expect(await log.span < 8, "\(address)")
                    }
                }
                try await group.waitForAll()
            }
            await experiment.broker.stop()
        }

        /// Half a record does not count as received. Tests all kinds at once, since the shortest keep-alive is five
        /// seconds.
        @Test func `in the middle of a message`() async throws {
            try await withThrowingTaskGroup(of: Void.self) { group in
                for wire in Wire.allCases { group.addTask { try await stall(wire) } }
                try await group.waitForAll()
            }
        }

        private func stall(_ wire: Wire) async throws {
            let broker = try await ScriptedBroker.start(tls: wire.identity, webSocket: wire.webSocket)
            let proxy = try TCPProxy(to: broker.port)
            var configuration = configuration(of: proxy, wire)
            configuration.keepAlive = .seconds(5)
            try await withRunningClient(configuration) { client, log in
                // The answer to this packet follows all bytes of the handshake.
                try await client.publish("x", to: "a")
                let half: [UInt8] =
                    switch wire {
                    case .plain: [0x30, 100, 0, 1, 0x61]
                    case .ws: [0x82, 102, 0x30, 100, 0, 1, 0x61]
                    case .tls12, .tls13, .wss: [23, 3, 3, 1, 0, 1, 2, 3]
                    }
                let before = proxy[.toClient].sent
                proxy.inject(half)
                #expect(await eventually { proxy[.toClient].sent == before + half.count })
                // Further bytes of the broker would end the wait.
                proxy.set(.toClient, .collecting)
                #expect(await log.wait { $0.stopped != nil })
                #expect(await log.terminalError?.code == .keepAliveTimeout, "\(wire)")
            }
            await broker.stop()
        }
    }
}

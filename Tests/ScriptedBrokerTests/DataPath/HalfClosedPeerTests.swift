// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Testing

/// The way in which a peer ends its side of the connection while it still reads.
enum HalfClose: String, Sendable, CaseIterable {
    /// FIN alone.
    case fin
    /// TLS close_notify, followed by FIN.
    case closeNotifyAndFIN
    /// TLS close_notify alone.
    case closeNotify
}

extension DataPath {
    @Suite("A peer that has closed its side is left at once, in every phase", .timeLimit(.minutes(1)))
    struct HalfClosedPeerTests {
        /// Runs a client and returns the error that ended it, which must occur before any of its deadlines.
        private func end(
            _ broker: ScriptedBroker, _ plan: TCPProxy.Plan, _ wire: Wire
        ) async throws -> MQTTError? {
            let proxy = try TCPProxy(to: broker.port, plan: plan)
            let (error, log) = try await runUntilStopped(configuration(of: proxy, wire))
            #expect(await log.span < 5, "the deadlines are 10 s")
            await broker.stop()
            return error
        }

        @Test(arguments: Wire.tls, [0, 3, 5, 40])
        func `in the handshake, after so many bytes`(wire: Wire, bytes: Int) async throws {
            let broker = try await ScriptedBroker.start(tls: TestTLS.identity)
            let error = try await end(broker, .init(end: .init(record: 0, byte: bytes)), wire)
            #expect(error?.code == .closed, "\(error as Any)")
            #expect(error?.phase == .tlsHandshake)
        }

        @Test(arguments: Wire.tls, [true, false])
        func `in the handshake, with close_notify`(wire: Wire, hidesEnd: Bool) async throws {
            // A warning, not a handshake message: RFC 8446, section 6.1.
            let broker = try await ScriptedBroker.start(script: [.raw([21, 3, 3, 0, 2, 1, 0])])
            let error = try await end(broker, .init(end: hidesEnd ? nil : .init(record: 1)), wire)
            #expect(error?.code == .closed, "\(error as Any)")
            #expect(error?.phase == .tlsHandshake)
        }

        @Test(arguments: [0, 5, 40]) func `in the upgrade, after so many bytes of the answer`(bytes: Int) async throws {
            let experiment = try await FlipExperiment(.wss)
            await experiment.broker.stop()
            let broker = try await ScriptedBroker.start(tls: TestTLS.identity, webSocket: .init())
            let answer = TCPProxy.Position(record: experiment.connack - 1, byte: bytes)
            let error = try await end(broker, .init(end: answer), .wss)
            #expect(error?.code == .closed, "\(error as Any)")
            #expect(error?.phase == .upgrade)
        }

        @Test(arguments: Wire.encrypted, HalfClose.allCases)
        func `before CONNACK`(wire: Wire, half: HalfClose) async throws {
            let broker = try await ScriptedBroker.start(
                tls: TestTLS.identity, webSocket: wire.webSocket, script: [half == .fin ? .serve : .closeAfterConnect])
            var plan = TCPProxy.Plan()
            if half == .fin {
                let experiment = try await FlipExperiment(wire)
                await experiment.broker.stop()
                plan.end = .init(record: experiment.connack)
            }
            plan.hidesEnd = half == .closeNotify
            let error = try await end(broker, plan, wire)
            #expect(error?.code == .closed, "\(error as Any)")
            #expect(error?.phase == .connack)
        }

        @Test(arguments: Wire.allCases, HalfClose.allCases)
        func `while connected`(wire: Wire, half: HalfClose) async throws {
            if !wire.isTLS, half != .fin { return }
            let broker = try await ScriptedBroker.start(
                tls: wire.identity, webSocket: wire.webSocket, script: [half == .fin ? .serve : .goodbye])
            let proxy = try TCPProxy(to: broker.port, plan: .init(hidesEnd: half == .closeNotify))
            var configuration = configuration(of: proxy, wire)
            configuration.version = .v3_1_1
            try await withRunningClient(configuration) { client, log in
                try await client.waitUntilConnected(timeout: .seconds(30))
                if half == .fin { proxy.finish() } else { try client.enqueue("bye", to: "b") }
                #expect(await log.wait(timeout: .seconds(5)) { $0.stopped != nil })
                let error = try #require(await log.terminalError)
                #expect(error.code == .closed, "\(error)")
                #expect(error.phase == .connected)
            }
            await broker.stop()
        }
    }
}

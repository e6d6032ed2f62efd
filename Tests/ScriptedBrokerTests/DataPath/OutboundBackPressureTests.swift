// SPDX-License-Identifier: Apache-2.0

import MosquittoTesting
import Testing

@testable import Mosquitto

extension DataPath.UnderLoad {
    @Suite("A broker that does not read", .timeLimit(.minutes(3)))
    struct OutboundBackPressureTests {
        @Test(arguments: Wire.allCases)
        func `is not buffered for without bound, and gets all in order when it reads again`(wire: Wire) async throws {
            try await OutboundPressure.run(wire) { pressure in
                let count = (32 << 20) / NumberedPayload.size
                let received = try await pressure.observed {
                    pressure.proxy.set(.toBroker, .shut)
                    let stuckAt = try await pressure.publish(from: 0, to: count)
                    // The queue, a megabyte or two on its way through libmosquitto and OpenSSL, and the bytes that the
                    // kernel has accepted.
                    #expect(stuckAt >= OutboundPressure.queueLimit)
                    #expect(stuckAt * NumberedPayload.size < 16 << 20, "\(stuckAt) messages were taken")
                    #expect(pressure.client.state.isConnected)
                    pressure.proxy.set(.toBroker, .open)
                    return try await pressure.publish(from: stuckAt, to: count, patience: .seconds(30))
                }
                #expect(received == Array(0..<count))
            }
        }

        @Test(arguments: Wire.allCases, [true, false])
        func `gets a DISCONNECT after all that was accepted, and a goodbye`(wire: Wire, isQueueFull: Bool) async throws
        {
            try await OutboundPressure.run(wire) { pressure in
                pressure.proxy.set(.toBroker, .shut)
                let count = try await isQueueFull ? pressure.publish(from: 0, to: 4_096) : pressure.fillSocket()
                let shutdown = Task { try? await pressure.client.shutdown() }
                #expect(await pressure.log.wait { _ in !pressure.client.state.isConnected })
                let start = ContinuousClock.now
                pressure.proxy.set(.toBroker, .open)
                await shutdown.value
                #expect(ContinuousClock.now - start < .seconds(20))
                #expect(await pressure.broker.waitUntil { $0.disconnects == [0] })
                // The broker closes after a DISCONNECT: later packets would not be counted.
                #expect(pressure.broker.publishCount == count)
                #expect(await pressure.log.terminalError == nil)
                try expectGoodbye(pressure.proxy[.toBroker].records, wire)
            }
        }

        /// RFC 8446, section 6.1: close_notify is the last record.
        private func expectGoodbye(_ records: [TCPProxy.TLSRecord], _ wire: Wire) throws {
            switch wire {
            case .plain, .ws: break
            // The frame that closes the WebSocket is before it.
            case .wss: #expect(records.last == .init(type: 23, length: 24))
            case .tls12: #expect(records.last?.type == 21)
            // Its type is hidden. DISCONNECT and the alert both have two bytes, and three with the type; the tag has
            // 16.
            case .tls13: #expect(records.suffix(2) == [.init(type: 23, length: 24), .init(type: 23, length: 24)])
            }
        }
    }
}

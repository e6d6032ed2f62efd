// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Testing

extension DataPath {
    /// RFC 8446, section 5.2: at most 2^14 + 256 bytes; RFC 5246, section 6.2.3: 2^14 + 2,048.
    @Suite("A record that is too long to be legal is refused, not waited for", .timeLimit(.minutes(1)))
    struct RecordLengthTests {
        @Test(arguments: [65_535, 16_384 + 2_048 + 1])
        func `during the handshake`(length: Int) async throws {
            let header: [UInt8] = [22, 3, 3, UInt8(length >> 8), UInt8(length & 0xFF)]
            let broker = try await ScriptedBroker.start(script: [.raw(header)])
            let proxy = try TCPProxy(to: broker.port)
            let (error, log) = try await runUntilStopped(configuration(of: proxy, .tls13))
            #expect(error?.code == .tlsProtocol, "\(error as Any)")
            #expect(error?.phase == .tlsHandshake)
            #expect(await log.span < 5)
            await broker.stop()
        }

        @Test(arguments: Wire.tls, [65_535, 16_384 + 2_048 + 1])
        func `after the handshake`(wire: Wire, length: Int) async throws {
            let broker = try await ScriptedBroker.start(tls: TestTLS.identity)
            let proxy = try TCPProxy(to: broker.port)
            try await withRunningClient(configuration(of: proxy, wire)) { client, log in
                // The answer to this packet follows all bytes of the handshake.
                try await client.publish("x", to: "a")
                proxy.inject([23, 3, 3, UInt8(length >> 8), UInt8(length & 0xFF)])
                let start = ContinuousClock.now
                #expect(await log.wait(timeout: .seconds(5)) { $0.stopped != nil })
                #expect(ContinuousClock.now - start < .seconds(5))
                let error = try #require(await log.terminalError)
                #expect(error.code == .tlsProtocol, "\(error)")
                #expect(error.phase == .connected)
            }
            await broker.stop()
        }
    }
}

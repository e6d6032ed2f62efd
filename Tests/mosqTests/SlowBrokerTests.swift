// SPDX-License-Identifier: Apache-2.0

import Foundation
import MosquittoTesting
import Testing
import Turns

@Suite("mosq pub, to a broker that is slow", .turn(.command), .timeLimit(.minutes(2)))
struct SlowBrokerTests {
    private static let size = 6 << 20

    private func file(in folder: TemporaryDirectory) throws -> String {
        let path = "\(folder.path)/large"
        try Data(repeating: 0x61, count: Self.size).write(to: URL(fileURLWithPath: path))
        return path
    }

    @Test("gets a file of QoS 0 whole, then DISCONNECT, and no will (core 2)", arguments: [false, true])
    func slow(isTLS: Bool) async throws {
        let authority = try TestCertificateAuthority()
        let broker = try await ScriptedBroker.start(tls: isTLS ? authority.serverIdentity() : nil)
        broker.readRate = 3 << 20
        let folder = try TemporaryDirectory()
        var arguments = [
            "pub", "-h", "localhost", "-p", "\(broker.port)", "-q", "0", "-t", "large", "-f", try file(in: folder),
            "--will-topic", "will", "--will-payload", "gone",
        ]
        if isTLS { arguments += ["--cafile", try folder.write(authority.certificatePEM, to: "ca")] }
        let result = try await MosqProcess(arguments).result()
        #expect(result.status == 0)
        #expect(result.errors == "")
        #expect(await broker.waitUntil { $0.disconnects.count == 1 })
        #expect(broker.publishes.map(\.topic) == ["large"])
        #expect(broker.publishes.first?.payload.count == Self.size)
        await broker.stop()
    }

    @Test("that stands still gets an error in bounded time (core 2)")
    func standstill() async throws {
        let broker = try await LocalMosquitto.start()
        let folder = try TemporaryDirectory()
        // More than the kernels' buffers take.
        let process = try MosqProcess([
            "pub", "-p", "\(broker.port)", "-q", "0", "-t", "large", "-k", "5", "--repeat", "4", "-f",
            try file(in: folder),
        ])
        broker.suspend()
        let result = try await process.result(timeout: .seconds(60))
        broker.resume()
        #expect(!result.wasKilled)
        #expect(result.status != 0)
        #expect(result.errors.hasPrefix("Error: "))
        await broker.terminate()
    }
}

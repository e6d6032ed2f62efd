// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Testing

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

#if os(Linux)
extension DataPath.UnderLoad {
    /// Each in a process of its own, where nothing else takes memory.
    @Suite("A PUBLISH that claims more than is accepted", .timeLimit(.minutes(1)))
    struct OversizedPacketTests {
        /// CONNACK, then the header, a topic and as much payload as one record has.
        static func bytes(length: [UInt8], version: MQTTVersion) -> [UInt8] {
            (version == .v5_0 ? [0x20, 3, 0, 0, 0] : [0x20, 2, 0, 0]) + [0x30] + length + [0, 1, 0x61, 0]
                + [UInt8](repeating: 0x78, count: 8_192)
        }

        @Test func `of 256 MB is refused, and no memory is taken for it, with MQTT 5.0`() async {
            await #expect(processExitsWith: .success) {
                try await DataPath.UnderLoad.OversizedPacketTests.refuse([0xFF, 0xFF, 0xFF, 0x7F], .v5_0)
            }
        }

        @Test func `of 256 MB is refused, and no memory is taken for it, with MQTT 3.1.1`() async {
            await #expect(processExitsWith: .success) {
                try await DataPath.UnderLoad.OversizedPacketTests.refuse([0xFF, 0xFF, 0xFF, 0x7F], .v3_1_1)
            }
        }

        /// 300,000,000 needs a fifth byte, which MQTT does not allow.
        @Test func `of 300 MB is refused, and no memory is taken for it, with MQTT 5.0`() async {
            await #expect(processExitsWith: .success) {
                try await DataPath.UnderLoad.OversizedPacketTests.refuse([0x80, 0xC6, 0x86, 0x8F, 0x01], .v5_0)
            }
        }

        @Test func `of 300 MB is refused, and no memory is taken for it, with MQTT 3.1.1`() async {
            await #expect(processExitsWith: .success) {
                try await DataPath.UnderLoad.OversizedPacketTests.refuse([0x80, 0xC6, 0x86, 0x8F, 0x01], .v3_1_1)
            }
        }

        /// A failed expectation would not be reported outside the process, so a failure traps.
        private static func refuse(_ length: [UInt8], _ version: MQTTVersion) async throws {
            for tls in [TestTLS.identity, nil] {
                let hostile = ConnectionScript.reply(bytes(length: length, version: version), close: false)
                let broker = try await ScriptedBroker.start(
                    tls: tls, script: [.serve] + Array(repeating: hostile, count: 10) + [.serve])
                var configuration = testConfiguration(port: broker.port, version: version)
                if tls == nil { configuration.tls = nil }
                configuration.receiving.maximumPacketSize = 1_000_000
                let client = MQTTClient(configuration, logger: quiet)
                let log = EventLog(client)
                try await client.start()
                // The memory of the first connection is allocated once.
                try await client.publish("first", to: "a")
                let before = try PeakMemory.now()
                broker.dropAll()
                let isBack = await broker.waitUntil { $0.connects.count == 12 }
                let names = await log.names
                if !isBack { fatalError("\(names)") }
                try await client.publish("alive", to: "a")
                let growth = try PeakMemory.now().kilobytes(since: before)
                let codes = await log.failures.map(\.error.code) + log.disconnections.map(\.error.code)
                guard codes.count(where: { $0 == .protocolViolation }) == 10 else { fatalError("\(codes)") }
                // The address space also contains threads' stacks and arenas of 64 MB each, so only a large allocation
                // is visible.
                if growth.resident > 16 << 10 || growth.virtual > 200 << 10 { fatalError("it grew by \(growth)") }
                try? await client.shutdown()
                await broker.stop()
            }
        }
    }
}

/// The peak memory of this process.
private struct PeakMemory {
    private let residentKB: Int
    private let virtualKB: Int

    static func now() throws -> PeakMemory {
        var fields: [String: Int] = [:]
        for line in try String(contentsOfFile: "/proc/self/status", encoding: .utf8).split(separator: "\n") {
            let parts = line.split(separator: ":", maxSplits: 1)
            if parts.count == 2 { fields[String(parts[0])] = Int(parts[1].filter(\.isNumber)) }
        }
        guard let resident = fields["VmHWM"], let virtual = fields["VmPeak"] else { fatalError("no /proc/self/status") }
        return PeakMemory(residentKB: resident, virtualKB: virtual)
    }

    func kilobytes(since earlier: PeakMemory) -> (resident: Int, virtual: Int) {
        (residentKB - earlier.residentKB, virtualKB - earlier.virtualKB)
    }
}
#endif

// SPDX-License-Identifier: Apache-2.0

import MosquittoTesting
import Testing
import Turns

@testable import Mosquitto

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Any bytes from a broker become a packet or an error, and libmosquitto receives only packets that it can handle.
@Suite(.turn(.units)) struct `Bytes from a broker that are wrong in some way` {
    /// `scripts/soak fuzz` sets it.
    private static var inputs: Int {
        ProcessInfo.processInfo.environment["MOSQUITTO_FUZZ_INPUTS"].flatMap { Int($0) } ?? 4_000
    }

    private static var firstSeed: UInt64 {
        ProcessInfo.processInfo.environment["MOSQUITTO_FUZZ_SEED"].flatMap { UInt64($0) } ?? 1
    }

    /// A refusal, an unknown packet and a broken one; never libmosquitto's own text for an unknown error.
    private static let codes: Set<MQTTError.Code> = [
        .protocolViolation, .closed, .refused, .notAuthorized, .sessionTakenOver, .tlsProtocol,
    ]

    @Test(arguments: MQTTVersion.allCases)
    func `end the connection with a typed error, or are taken`(version: MQTTVersion) async throws {
        let loop = EventLoopCore()
        for number in 0..<UInt64(Self.inputs) {
            let seed = Self.firstSeed + number
            var generator = JitterGenerator(seed: seed)
            let bytes = BrokenTraffic.make(version, using: &generator)
            // For tests that wait for a thread of the pool.
            await Task.yield()
            let connection = try LooseConnection(version, loop)
            do throws(MQTTError) {
                try connection.receive(bytes, using: &generator)
            } catch {
                let isKnown = Self.codes.contains(error.code)
                #expect(isKnown, "seed \(seed): \(error.code) \(error) after \(bytes.map { String($0, radix: 16) })")
            }
        }
    }
}

/// A broker's packets with random faults.
enum BrokenTraffic {
    static func make(_ version: MQTTVersion, using generator: inout some RandomNumberGenerator) -> [UInt8] {
        let known =
            Sample.valid(version) + (Int.random(in: 0..<4, using: &generator) == 0 ? Sample.invalid(version) : [])
        let properties = Bool.random(using: &generator) ? Sample.connackProperties : []
        var packets = [Sample.connack(version, version == .v5_0 ? properties : [])]
        for _ in 0..<Int.random(in: 0...6, using: &generator) {
            packets.append(known.randomElement(using: &generator)?.bytes ?? [])
        }
        // Most faults follow CONNACK, where more can break.
        let first = Int.random(in: 0..<8, using: &generator) == 0 ? 0 : 1
        for _ in 0..<Int.random(in: 0...3, using: &generator) where first < packets.count {
            let index = Int.random(in: first..<packets.count, using: &generator)
            spoil(&packets[index], using: &generator)
        }
        return packets.flatMap { $0 }
    }

    private static func spoil(_ packet: inout [UInt8], using generator: inout some RandomNumberGenerator) {
        guard !packet.isEmpty else { return }
        let position = Int.random(in: packet.indices, using: &generator)
        switch Int.random(in: 0..<8, using: &generator) {
        case 0: packet[position] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
        case 1: packet[position] = .random(in: 0...255, using: &generator)
        case 2: packet[position] = [0, 1, 0x7F, 0x80, 0xFF].randomElement(using: &generator) ?? 0
        case 3: packet.insert(.random(in: 0...255, using: &generator), at: position)
        case 4: packet.remove(at: position)
        case 5: packet.removeSubrange(position...)
        case 6: packet += packet[position...]
        default:
            // The length is made to fit, so that the fault is inside.
            guard packet.count > 2 else { return }
            var body = Array(packet.dropFirst(2))
            let place = Int.random(in: 0...body.count, using: &generator)
            let count = Int.random(in: 1...40, using: &generator)
            body.insert(contentsOf: (0..<count).map { _ in .random(in: 0...255, using: &generator) }, at: place)
            packet = Sample.packet(packet[0], body)
        }
    }
}

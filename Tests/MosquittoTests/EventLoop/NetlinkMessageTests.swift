// SPDX-License-Identifier: Apache-2.0

import MosquittoTesting
import Testing
import Turns

@testable import Mosquitto

@Suite(.turn(.units)) struct `A notification of the kernel` {
    /// The bytes of a message, with the padding behind it.
    private func message(_ type: UInt16, sequence: UInt32 = 0, _ body: [UInt8]) -> [UInt8] {
        var bytes: [UInt8] = []
        withUnsafeBytes(of: UInt32(16 + body.count)) { bytes += $0 }
        withUnsafeBytes(of: type) { bytes += $0 }
        bytes += [0, 0]
        withUnsafeBytes(of: sequence) { bytes += $0 }
        bytes += [0, 0, 0, 0] + body
        return bytes + [UInt8](repeating: 0, count: (4 - bytes.count % 4) % 4)
    }

    private func link(_ index: Int32, flags: UInt32) -> [UInt8] {
        var body: [UInt8] = [0, 0, 0, 0]
        withUnsafeBytes(of: index) { body += $0 }
        withUnsafeBytes(of: flags) { body += $0 }
        return body + [0, 0, 0, 0]
    }

    /// An address of interface 2.
    private func address(flags: UInt8 = 0x80, scope: UInt8 = 0) -> [UInt8] { [2, 24, flags, scope, 2, 0, 0, 0] }

    private func route(table: UInt8 = 254, type: UInt8 = 1, flags: UInt32 = 0) -> [UInt8] {
        var body: [UInt8] = [2, 0, 0, 0, table, 3, 0, type]
        withUnsafeBytes(of: flags) { body += $0 }
        return body
    }

    private func messages(_ bytes: [UInt8]) -> [NetlinkMessage] {
        bytes.withUnsafeBytes { NetlinkMessage.messages(in: $0, request: 1) }
    }

    @Test func `tells of links`() {
        let up: UInt32 = 0x1 | 0x40 | 0x1_0000
        #expect(messages(message(16, link(3, flags: up))) == [.link(index: 3, isRunning: true, isInitial: false)])
        #expect(
            messages(message(16, sequence: 1, link(3, flags: up)))
                == [.link(index: 3, isRunning: true, isInitial: true)])
        // Switched on without a carrier, and a carrier of one that is switched off.
        for flags: UInt32 in [0x1, 0x40, 0] {
            #expect(
                messages(message(16, link(3, flags: flags))) == [.link(index: 3, isRunning: false, isInitial: false)])
        }
        #expect(messages(message(17, link(3, flags: 0))) == [.linkRemoved(index: 3)])
    }

    @Test func `tells of addresses that others can reach`() {
        #expect(messages(message(20, address())) == [.addressAdded])
        // Site-local; link-local and this machine's own.
        #expect(messages(message(20, address(scope: 200))) == [.addressAdded])
        #expect(messages(message(20, address(scope: 253)) + message(20, address(scope: 254))).isEmpty)
        // Tentative, and a duplicate.
        #expect(messages(message(20, address(flags: 0xC0)) + message(20, address(flags: 0x08))).isEmpty)
        #expect(messages(message(21, address())).isEmpty)
    }

    @Test func `tells of routes to other machines`() {
        #expect(messages(message(24, route())) == [.routeAdded])
        #expect(messages(message(24, route(table: 252))) == [.routeAdded])
        // A local one, a broadcast, a cloned one, a deleted one.
        #expect(messages(message(24, route(table: 255))).isEmpty)
        #expect(messages(message(24, route(type: 3))).isEmpty)
        #expect(messages(message(24, route(flags: 0x200))).isEmpty)
        #expect(messages(message(25, route())).isEmpty)
    }

    @Test func `may share a datagram with others, and have attributes`() {
        let datagram = message(20, address() + [1, 2, 3]) + message(3, [0, 0, 0, 0]) + message(24, route() + [9])
        #expect(messages(datagram) == [.addressAdded, .routeAdded])
    }

    @Test func `ends where a length is wrong`() {
        let good = message(20, address())
        #expect(messages(good + [255, 0, 0, 0] + message(24, route()).dropFirst(4)) == [.addressAdded])
        #expect(messages(good + [3, 0, 0, 0] + message(24, route()).dropFirst(4)) == [.addressAdded])
        #expect(messages([]).isEmpty)
        for count in 0..<good.count { #expect(messages(Array(good.prefix(count))).isEmpty) }
        // Too short for its type.
        for type: UInt16 in [16, 17, 20, 24] { #expect(messages(message(type, [1, 2, 3])).isEmpty) }
    }

    @Test func `may have any bytes`() {
        var generator = JitterGenerator(seed: 7)
        let good = message(16, link(3, flags: 0x41)) + message(20, address()) + message(24, route())
        for _ in 0..<4_000 {
            var bytes = good
            for _ in 0..<Int.random(in: 1...6, using: &generator) {
                bytes[Int.random(in: 0..<bytes.count, using: &generator)] = UInt8.random(
                    in: .min ... .max, using: &generator)
            }
            bytes.removeLast(Int.random(in: 0...bytes.count, using: &generator))
            _ = messages(bytes)
        }
    }
}

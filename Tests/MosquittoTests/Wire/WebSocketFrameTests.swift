// SPDX-License-Identifier: Apache-2.0

import Synchronization
import Testing
import Turns

@testable import Mosquitto

@Suite(.turn(.units)) struct `A client's WebSocket frames` {
    /// The header without the key, and the unmasked payload.
    private func parsed(_ frame: [UInt8], headerSize: Int) -> (header: [UInt8], payload: [UInt8]) {
        let key = frame[headerSize..<headerSize + 4]
        let payload = frame[(headerSize + 4)...].enumerated().map { $1 ^ key[headerSize + $0 % 4] }
        return (Array(frame[..<headerSize]), payload)
    }

    @Test(
        arguments: [
            (0, [0x82, 0x80]), (125, [0x82, 0xFD]), (126, [0x82, 0xFE, 0, 126]), (65_535, [0x82, 0xFE, 0xFF, 0xFF]),
            (65_536, [0x82, 0xFF, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] as [(Int, [UInt8])])
    func `have the shortest length, and are masked`(count: Int, header: [UInt8]) {
        let payload = (0..<count).map { UInt8(truncatingIfNeeded: $0) }
        var frame = [UInt8](repeating: 0, count: WebSocketFrame.maximumHeader + count)
        let size = frame.withUnsafeMutableBytes { buffer in
            let start = WebSocketFrame.writeHeader(.binary, count: count, key: 0x1234_5678, to: buffer)
            payload.withUnsafeBytes {
                WebSocketFrame.mask(
                    $0, key: 0x1234_5678, into: UnsafeMutableRawBufferPointer(rebasing: buffer[start...]))
            }
            return start + count
        }
        let result = parsed(Array(frame[..<size]), headerSize: header.count)
        #expect(result.header == header && result.payload == payload)
    }

    @Test func `are masked by words as by bytes`() {
        for count in 0...70 {
            let source = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 37) }
            var target = [UInt8](repeating: 0, count: count)
            let key: UInt32 = 0xA1B2_C3D4
            source.withUnsafeBytes { source in
                target.withUnsafeMutableBytes { WebSocketFrame.mask(source, key: key, into: $0) }
            }
            let bytes = withUnsafeBytes(of: key) { Array($0) }
            #expect(target == source.enumerated().map { $1 ^ bytes[$0 % 4] })
        }
    }

    @Test func `of control are at most 125 bytes long`() {
        let frame = WebSocketFrame.control(.pong, [UInt8](repeating: 1, count: 200), key: 0)
        #expect(Array(frame.prefix(2)) == [0x8A, 0xFD] && frame.count == 6 + 125)
        #expect(
            parsed(WebSocketFrame.control(.close, WebSocketFrame.closePayload(1_000), key: 7), headerSize: 2).payload
                == [3, 0xE8])
    }

    @Test func `have masks from blocks of random bytes`() {
        let calls = Mutex(0)
        var masks = WebSocketMasks {
            calls.withLock { $0 += 1 }
            return RandomBytes.make(RandomBytes.limit)
        }
        let drawn = Set((0..<128).map { _ in masks.next() })
        #expect(calls.withLock { $0 } == 2)
        #expect(drawn.count > 120)
        masks.rest()
        _ = masks.next()
        #expect(calls.withLock { $0 } == 3)
    }
}

// SPDX-License-Identifier: Apache-2.0

import Testing
import Turns

@testable import Mosquitto

@Suite(.turn(.units)) struct `The stream of a WebSocket` {
    /// A transport whose peer reads nothing until told.
    private final class Wire: Transport {
        var written: [UInt8] = []
        var writes = 0
        var sent = 0
        var isReading = true

        func open(_ received: inout ByteQueue, into scratch: UnsafeMutableRawBufferPointer) throws(MQTTError) -> Int? {
            if received.isEmpty { return nil }
            let count = min(received.count, scratch.count)
            received.withPrefix(count) { scratch.copyMemory(from: $0) }
            received.remove(count)
            return count
        }
        func write(_ bytes: UnsafeRawBufferPointer) throws(MQTTError) {
            written += bytes
            writes += 1
        }
        func finishWriting() {}
        var unsent: Int { written.count - sent }
        func send(_ take: (UnsafeRawBufferPointer) -> StreamSocket.Transfer) -> TransportProgress {
            guard isReading else { return TransportProgress() }
            defer { sent = written.count }
            return TransportProgress(count: unsent)
        }
        func rest() {}

        /// The frames, unmasked: the first byte and the payload of each.
        var frames: [(head: UInt8, payload: [UInt8])] {
            var frames: [(head: UInt8, payload: [UInt8])] = []
            var rest = written[...]
            while !rest.isEmpty {
                let bytes = Array(rest)
                let marker = Int(bytes[1] & 0x7F)
                let width = marker == 126 ? 2 : marker == 127 ? 8 : 0
                let count = width == 0 ? marker : bytes[2..<2 + width].reduce(0) { $0 << 8 | Int($1) }
                let start = 2 + width + 4
                let key = bytes[(start - 4)..<start]
                frames.append(
                    (bytes[0], bytes[start..<start + count].enumerated().map { $1 ^ key[start - 4 + $0 % 4] }))
                rest = rest.dropFirst(start + count)
            }
            return frames
        }
    }

    private let wire = Wire()
    private let stream: WebSocketStream

    init() { stream = WebSocketStream(MQTTWebSocketRequest(to: .webSocket(host: "a")), over: wire) }

    /// Returns all payload of received bytes.
    private func open(_ bytes: [UInt8]) throws -> [UInt8] {
        var received = ByteQueue()
        bytes.withUnsafeBytes { received.append($0) }
        let scratch = UnsafeMutableRawBufferPointer.allocate(byteCount: 65_536, alignment: 8)
        defer { scratch.deallocate() }
        var payload: [UInt8] = []
        while let count = try stream.open(&received, into: scratch) { payload += scratch[..<count] }
        return payload
    }

    private func write(_ bytes: [UInt8]) throws {
        let result = bytes.withUnsafeBytes { bytes in Result { () throws(MQTTError) in try stream.write(bytes) } }
        try result.get()
    }

    @Test(arguments: [1, 125, 126, 16_368, 16_369, 65_535, 65_536, 1_048_576])
    func `writes one frame for each write, in pieces of a TLS record`(count: Int) throws {
        let payload = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 13) }
        try write(payload)
        let frames = wire.frames
        #expect(frames.count == 1 && frames.first?.head == 0x82 && frames.first?.payload == payload)
        #expect(wire.writes == (count + 16 + 16_383) / 16_384)
    }

    @Test func `answers the newest of several pings`() throws {
        #expect(try open(ServerFrames.frame(9, [1]) + ServerFrames.frame(2, [5]) + ServerFrames.frame(9, [2])) == [5])
        #expect(wire.frames.map(\.head) == [0x8A] && wire.frames.first?.payload == [2])
    }

    @Test func `has one unsent pong, whatever the number of pings`() throws {
        wire.isReading = false
        for number in 0..<1_000 { _ = try open(ServerFrames.frame(9, [UInt8(truncatingIfNeeded: number)])) }
        #expect(wire.frames.count == 1)
        wire.isReading = true
        for _ in 0..<3 {
            _ = stream.send { .bytes($0.count) }
            stream.hasSent()
        }
        #expect(wire.frames.map(\.payload) == [[0], [UInt8(truncatingIfNeeded: 999)]])
    }

    @Test func `ends with 1000`() {
        stream.finishWriting()
        stream.finishWriting()
        #expect(wire.frames.map(\.head) == [0x88] && wire.frames.first?.payload == [3, 0xE8])
    }

    @Test func `returns the payload before a close frame, and answers the frame`() throws {
        var payload: [UInt8] = []
        let error = #expect(throws: MQTTError.self) {
            payload = try open(ServerFrames.frame(2, [1]))
            payload += try open(ServerFrames.frame(2, [2]) + ServerFrames.close(1_001, "bye"))
        }
        #expect(payload == [1])
        #expect(error?.code == .closed && error?.webSocket?.closeCode == 1_001)
        #expect(error?.message.hasSuffix(#"1001 (going away): "bye""#) == true)
        #expect(wire.frames.map(\.payload) == [[3, 0xE9]])
    }

    @Test func `answers a violation with 1002`() throws {
        let error = #expect(throws: MQTTError.self) { try open(ServerFrames.frame(1, [1])) }
        #expect(error?.code == .protocolViolation)
        #expect(wire.frames.map(\.payload) == [[3, 0xEA]])
    }
}

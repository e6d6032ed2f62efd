// SPDX-License-Identifier: Apache-2.0

import Testing
import Turns

@testable import Mosquitto

@Suite(.turn(.units)) struct `A server's WebSocket frames` {
    private typealias Frames = ServerFrames

    private func bytes(_ count: Int, seed: UInt8 = 0) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ Int(seed)) }
    }

    private func failure(_ bytes: [UInt8]) -> MQTTError? {
        var decoder = WebSocketFrameDecoder()
        _ = decoder.decode(bytes)
        return decoder.failure
    }

    // MARK: Lengths and pieces

    @Test(arguments: [0, 1, 125, 126, 127, 65_535, 65_536, 70_000])
    func `of each length are decoded, whole and in pieces`(length: Int) {
        let payload = bytes(length)
        for size in [1, 2, 3, 7, 1_000, .max] where size > 3 || length < 1_000 {
            var decoder = WebSocketFrameDecoder()
            #expect(decoder.decode(Frames.frame(2, payload) + Frames.frame(2, [9]), pieceSize: size) == payload + [9])
            #expect(decoder.failure == nil && !decoder.isInMidFrame)
        }
    }

    @Test func `are decoded with a split at each byte`() {
        let first = bytes(126)
        let second = bytes(3, seed: 7)
        let stream = Frames.frame(2, first) + Frames.frame(9, [1, 2]) + Frames.frame(2, second)
        for split in 0...stream.count {
            var decoder = WebSocketFrameDecoder()
            let payload =
                decoder.decode(piece: Array(stream[..<split])) + decoder.decode(piece: Array(stream[split...]))
            #expect(payload == first + second)
            let ping = decoder.takePing()
            #expect(ping == [1, 2])
        }
    }

    @Test func `are joined with a fragment at each byte, and control frames in between`() {
        let payload = bytes(40)
        for end in 0...payload.count {
            let stream =
                Frames.frame(2, Array(payload[..<end]), isFinal: false) + Frames.frame(9, [UInt8(end)])
                + Frames.frame(10) + Frames.frame(0, [], isFinal: false) + Frames.frame(0, Array(payload[end...]))
            for size in [1, 5, .max] {
                var decoder = WebSocketFrameDecoder()
                #expect(decoder.decode(stream, pieceSize: size) == payload)
                let ping = decoder.takePing()
                #expect(ping == [UInt8(end)] && decoder.failure == nil)
            }
        }
    }

    @Test func `many in one piece are moved together`() {
        var decoder = WebSocketFrameDecoder()
        let parts = (0..<200).map { bytes($0, seed: UInt8($0)) }
        #expect(decoder.decode(parts.flatMap { Frames.frame(2, $0) }) == parts.flatMap { $0 })
    }

    // MARK: Pings and close

    @Test func `the newest ping counts, and is taken once`() {
        var decoder = WebSocketFrameDecoder()
        _ = decoder.decode(Frames.frame(9, [1]) + Frames.frame(9, [2]) + Frames.frame(9, bytes(125)))
        var ping = decoder.takePing()
        #expect(ping == bytes(125))
        ping = decoder.takePing()
        #expect(ping == nil)
    }

    @Test func `a close frame ends the stream, with its code and text, behind the payload`() {
        var decoder = WebSocketFrameDecoder()
        let payload = decoder.decode(
            Frames.frame(2, [1, 2]) + Frames.close(1_008, "token\u{1B}[31m expired") + Frames.frame(2, [3]))
        #expect(payload == [1, 2])
        #expect(decoder.failure?.code == .closed)
        #expect(decoder.failure?.webSocket?.closeCode == 1_008)
        #expect(decoder.failure?.webSocket?.closeReason == #"token\u{1B}[31m expired"#)
        #expect(decoder.failure?.message == "the server closed the WebSocket with 1008 (policy violation)")
        let after = decoder.decode(Frames.frame(2, [3]))
        #expect(after.isEmpty)
    }

    @Test(arguments: [1_000, 1_003, 1_007, 1_014, 3_000, 4_999] as [UInt16])
    func `a close code that may be sent is reported`(code: UInt16) {
        #expect(failure(Frames.close(code))?.webSocket?.closeCode == code)
    }

    @Test func `a close frame may be empty`() {
        #expect(failure(Frames.frame(8))?.code == .closed)
        #expect(failure(Frames.frame(8))?.webSocket == MQTTWebSocketFailure())
    }

    @Test(arguments: [0, 999, 1_004, 1_005, 1_006, 1_015, 2_999, 5_000] as [UInt16])
    func `a close code that must not be sent is a violation`(code: UInt16) {
        #expect(failure(Frames.close(code))?.code == .protocolViolation)
    }

    // MARK: Violations

    private static let violations: [(String, [UInt8])] = [
        ("masked", ServerFrames.frame(2, [1], mask: true)),
        ("reserved bits", ServerFrames.frame(2, [1], reserved: 4)),
        ("reserved bits", ServerFrames.frame(2, [1], reserved: 2)),
        ("reserved bits", ServerFrames.frame(2, [1], reserved: 1)), ("reserved opcode 3", ServerFrames.frame(3)),
        ("reserved opcode 7", ServerFrames.frame(7)), ("reserved opcode 11", ServerFrames.frame(11)),
        ("reserved opcode 15", ServerFrames.frame(15)), ("text frame", ServerFrames.frame(1, [0x41])),
        ("continuation", ServerFrames.frame(0, [1])),
        ("new message", ServerFrames.frame(2, [1], isFinal: false) + ServerFrames.frame(2, [2])),
        ("fragmented control", ServerFrames.frame(9, [1], isFinal: false)),
        ("fragmented control", ServerFrames.frame(8, isFinal: false)),
        ("fragmented control", ServerFrames.frame(10, isFinal: false)),
        ("more than 125", ServerFrames.header(9, length: 126, width: 2)),
        ("more than 125", ServerFrames.header(8, length: 1, width: 8)),
        ("half a code", ServerFrames.frame(8, [3])),
        ("shortest form", ServerFrames.header(2, length: 0, width: 2)),
        ("shortest form", ServerFrames.header(2, length: 125, width: 2)),
        ("shortest form", ServerFrames.header(2, length: 0, width: 8)),
        ("shortest form", ServerFrames.header(2, length: 65_535, width: 8)),
        ("2^63", ServerFrames.header(2, length: 1 << 63, width: 8)),
        ("2^63", ServerFrames.header(2, length: .max, width: 8)),
    ]

    @Test(arguments: violations)
    func `a violation has a type and a name, behind the payload before it`(name: String, stream: [UInt8]) {
        for size in [1, .max] {
            var decoder = WebSocketFrameDecoder()
            let payload = decoder.decode(ServerFrames.frame(2, [7]) + stream, pieceSize: size)
            #expect(payload.first == 7)
            #expect(decoder.failure?.code == .protocolViolation && decoder.failure?.phase == .connected)
            #expect(decoder.failure?.message.contains(name) == true, "\(decoder.failure?.message ?? "none")")
            let after = decoder.decode(ServerFrames.frame(2, [8]))
            #expect(after.isEmpty)
        }
    }

    @Test(arguments: [65_536, 1 << 31, 1 << 62, (1 << 63) - 1] as [UInt64])
    func `a claim of any size costs no memory`(length: UInt64) {
        var decoder = WebSocketFrameDecoder()
        #expect(decoder.decode(Frames.header(2, length: length, width: 8)).isEmpty)
        #expect(decoder.failure == nil && decoder.isInMidFrame)
        for _ in 0..<10 { #expect(decoder.decode(bytes(1_000)) == bytes(1_000)) }
        #expect(decoder.failure == nil && decoder.isInMidFrame)
    }

    // MARK: Fuzz

    /// A stream of valid frames, with the payload and the newest ping that it has.
    private struct Sample {
        var stream: [UInt8] = []
        var payload: [UInt8] = []
        var ping: [UInt8]?

        init(_ generator: inout JitterGenerator) {
            var isFragmented = false
            for _ in 0..<Int.random(in: 1...12, using: &generator) {
                let size = [0, 1, 2, 124, 125, 126, 127, 300].randomElement(using: &generator) ?? 0
                let bytes = (0..<size).map { _ in UInt8.random(in: 0...255, using: &generator) }
                switch Int.random(in: 0...4, using: &generator) {
                case 0:
                    let control = Array(bytes.prefix(125))
                    stream += ServerFrames.frame(9, control)
                    ping = control
                case 1: stream += ServerFrames.frame(10, Array(bytes.prefix(125)))
                default:
                    let isFinal = Bool.random(using: &generator)
                    stream += ServerFrames.frame(isFragmented ? 0 : 2, bytes, isFinal: isFinal)
                    payload += bytes
                    isFragmented = !isFinal
                }
            }
        }
    }

    private func decode(
        _ stream: [UInt8], _ generator: inout JitterGenerator
    ) -> (decoder: WebSocketFrameDecoder, payload: [UInt8]) {
        var decoder = WebSocketFrameDecoder()
        var payload: [UInt8] = []
        var rest = stream[...]
        while !rest.isEmpty {
            let size = Int.random(in: 1...max(1, min(rest.count, 200)), using: &generator)
            payload += decoder.decode(piece: Array(rest.prefix(size)))
            rest = rest.dropFirst(size)
        }
        return (decoder, payload)
    }

    @Test func `of a random valid stream, in random pieces, give its payload`() {
        var generator = JitterGenerator(seed: 20)
        for _ in 0..<2_000 {
            let sample = Sample(&generator)
            var result = decode(sample.stream, &generator)
            #expect(result.payload == sample.payload && result.decoder.failure == nil)
            let ping = result.decoder.takePing()
            #expect(ping == sample.ping)
        }
    }

    @Test func `that are random or damaged never trap, and give no more than has arrived`() {
        var generator = JitterGenerator(seed: 21)
        for round in 0..<10_000 {
            var stream =
                round.isMultiple(of: 2)
                ? (0..<Int.random(in: 0...40, using: &generator)).map { _ in
                    UInt8.random(in: 0...255, using: &generator)
                }
                : Sample(&generator).stream
            if !stream.isEmpty, !round.isMultiple(of: 2) {
                stream[Int.random(in: 0..<stream.count, using: &generator)] ^=
                    1 << UInt8.random(in: 0...7, using: &generator)
            }
            var whole = WebSocketFrameDecoder()
            let payload = whole.decode(stream)
            let pieces = decode(stream, &generator)
            #expect(payload == pieces.payload && payload.count <= stream.count)
            #expect(whole.failure?.code == pieces.decoder.failure?.code)
            #expect([nil, .closed, .protocolViolation].contains(whole.failure?.code))
        }
    }
}

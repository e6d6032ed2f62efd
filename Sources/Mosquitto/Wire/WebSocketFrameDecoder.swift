// SPDX-License-Identifier: Apache-2.0

/// Decodes the frames of a WebSocket server (RFC 6455, section 5): bytes in, payload out. A value without I/O.
///
/// Payload is moved together in place, and nothing is allocated for the length that a frame claims. Payload before the
/// end of the stream, by a close frame or a violation, is returned before ``failure`` counts.
struct WebSocketFrameDecoder: Sendable {
    private enum Stage {
        /// The byte with the opcode comes next.
        case start
        /// The byte with the length comes next.
        case length
        /// This number of bytes of an extended length comes next.
        case extendedLength(Int)
        /// ``rest`` bytes of payload come next.
        case payload
    }

    private var stage = Stage.start
    private var opcode = WebSocketFrame.Opcode.binary
    private var isFinal = true
    /// The number of bytes of an extended length, to refuse one that is longer than necessary.
    private var width = 0
    private var rest: UInt64 = 0
    /// True between the first and the last frame of a message.
    private var isFragmented = false
    /// The payload of a control frame, which has at most 125 bytes.
    private var control: [UInt8] = []
    private var ping: [UInt8]?
    /// The end of the stream: a close frame, as ``MQTTError/Code/closed``, or a violation.
    private(set) var failure: MQTTError?

    /// True within a frame.
    var isInMidFrame: Bool { if case .start = stage { false } else { true } }

    /// Returns the payload of the newest ping since the last call (RFC 6455, section 5.5.3: older ones need no answer).
    mutating func takePing() -> [UInt8]? {
        defer { ping = nil }
        return ping
    }

    /// Decodes bytes, and moves the payload of data frames to the beginning of the buffer. Returns the number of bytes
    /// of this payload. Bytes after the end of the stream are ignored.
    mutating func decode(_ buffer: UnsafeMutableRawBufferPointer) -> Int {
        var (read, written) = (0, 0)
        while read < buffer.count, failure == nil {
            if case .payload = stage {
                let count = Int(min(rest, UInt64(buffer.count - read)))
                let piece = UnsafeMutableRawBufferPointer(rebasing: buffer[read..<read + count])
                if opcode.isControl {
                    control += piece
                } else {
                    if read != written {
                        UnsafeMutableRawBufferPointer(rebasing: buffer[written...]).copyMemory(
                            from: UnsafeRawBufferPointer(piece))
                    }
                    written += count
                }
                read += count
                rest -= UInt64(count)
                if rest == 0 { finish() }
            } else {
                step(buffer[read])
                read += 1
            }
        }
        return written
    }

    private mutating func step(_ byte: UInt8) {
        switch stage {
        case .start: start(byte)
        case .length:
            // RFC 6455, section 5.1: a server does not mask.
            if byte & 0x80 != 0 { return violate("a masked frame") }
            rest = UInt64(byte & 0x7F)
            width = rest == 126 ? 2 : rest == 127 ? 8 : 0
            if width > 0 {
                if opcode.isControl { return violate("a control frame with more than 125 bytes") }
                rest = 0
                stage = .extendedLength(width)
            } else {
                begin()
            }
        case .extendedLength(let count):
            rest = rest << 8 | UInt64(byte)
            stage = .extendedLength(count - 1)
            if count == 1 { checkLength() }
        case .payload: break
        }
    }

    private mutating func start(_ byte: UInt8) {
        if byte & 0x70 != 0 { return violate("a frame with reserved bits, without an extension") }
        guard let opcode = WebSocketFrame.Opcode(rawValue: byte & 0x0F) else {
            return violate("a frame with the reserved opcode \(byte & 0x0F)")
        }
        self.opcode = opcode
        isFinal = byte & 0x80 != 0
        switch opcode {
        // MQTT 5.0, section 6.
        case .text: return violate("a text frame; MQTT is binary")
        case .continuation where !isFragmented: return violate("the continuation of no message")
        case .binary where isFragmented: return violate("a new message within a fragmented one")
        case .close where !isFinal, .ping where !isFinal, .pong where !isFinal:
            return violate("a fragmented control frame")
        default: stage = .length
        }
    }

    /// RFC 6455, section 5.2: the shortest form, and the highest bit is 0.
    private mutating func checkLength() {
        if rest >> 63 != 0 { return violate("a frame with a length of 2^63 or more") }
        if rest < (width == 2 ? 126 : 65_536) { return violate("a length that is not in its shortest form") }
        begin()
    }

    private mutating func begin() {
        stage = .payload
        if rest == 0 { finish() }
    }

    private mutating func finish() {
        stage = .start
        guard opcode.isControl else {
            isFragmented = !isFinal
            return
        }
        let payload = control
        control = []
        switch opcode {
        case .ping: ping = payload
        case .close: close(payload)
        default: break
        }
    }

    /// RFC 6455, section 5.5.1: nothing, or a code and a text.
    private mutating func close(_ payload: [UInt8]) {
        var error = MQTTError(.closed, "the server closed the WebSocket", phase: .connected)
        var details = MQTTWebSocketFailure()
        if payload.count == 1 { return violate("a close frame with half a code") }
        if payload.count >= 2 {
            let code = UInt16(payload[0]) << 8 | UInt16(payload[1])
            if !WebSocketFrame.isSent(code) { return violate("a close frame with the invalid code \(code)") }
            details.closeCode = code
            error.message += " with \(code)" + (WebSocketFrame.meaning(of: code).map { " (\($0))" } ?? "")
            if payload.count > 2 {
                details.closeReason = ForeignText(String(decoding: payload[2...], as: UTF8.self)).description
            }
        }
        error.webSocket = details
        failure = error
    }

    private mutating func violate(_ what: String) {
        failure = MQTTError(
            .protocolViolation, "the server broke the WebSocket protocol: it sent \(what)", phase: .connected)
    }
}

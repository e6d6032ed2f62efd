// SPDX-License-Identifier: Apache-2.0

import CMosquitto

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// A WebSocket connection (RFC 6455) over another transport: the upgrade by HTTP, then frames. One write becomes one
/// binary frame; frames and MQTT packets need not align (MQTT 5.0, section 6).
final class WebSocketStream: Transport {
    private let inner: any Transport
    private let request: MQTTWebSocketRequest
    /// The handshake, until the upgrade.
    private var handshake: WebSocketHandshake?
    private var decoder = WebSocketFrameDecoder()
    private var masks = WebSocketMasks()
    /// Bytes that arrived together with the answer to the upgrade.
    private var early = ByteQueue()
    /// The payload of a ping that waits until the last pong was sent.
    private var ping: [UInt8]?
    /// Number of unsent bytes up to the end of the last pong.
    private var pongRest = 0
    private var hasClosed = false
    /// True until the first packet of the broker: CONNECT, which has the password, is written before.
    private var isSecret = true

    /// - Parameter pieceSize: the plaintext of a full record of the inner transport; a multiple of four.
    init(_ request: MQTTWebSocketRequest, over inner: any Transport, pieceSize: Int = TLSRecord.size) {
        self.request = request
        self.inner = inner
        self.pieceSize = pieceSize
    }

    /// True if the received bytes end within a frame.
    var isInMidFrame: Bool { !early.isEmpty || decoder.isInMidFrame }

    // MARK: Upgrade

    /// Writes the request.
    func startUpgrade() throws(MQTTError) {
        var handshake = WebSocketHandshake(request, nonce: RandomBytes.make(16))
        let result = handshake.bytes.withUnsafeBytes { bytes in
            Result { () throws(MQTTError) in try inner.write(bytes) }
        }
        handshake.forgetRequest()
        self.handshake = handshake
        try result.get()
    }

    /// The refusal, as far as the answer has arrived; `nil` if its header has not.
    var refusal: MQTTError? { handshake?.refusal(now: Date.now) }

    /// Handles received bytes of the answer. Returns true when the connection is upgraded. Throws the refusal when all
    /// of it has arrived, and the end of the inner stream.
    func upgrade(_ received: inout ByteQueue, scratch: UnsafeMutableRawBufferPointer) throws(MQTTError) -> Bool {
        while handshake != nil {
            guard let count = try inner.open(&received, into: scratch) else { return false }
            let bytes = UnsafeRawBufferPointer(rebasing: scratch[..<count])
            guard let used = try handshake?.receive(bytes, now: Date.now) else { continue }
            handshake = nil
            early.append(UnsafeRawBufferPointer(rebasing: bytes[used...]))
        }
        return true
    }

    // MARK: Inbound

    func open(_ received: inout ByteQueue, into scratch: UnsafeMutableRawBufferPointer) throws(MQTTError) -> Int? {
        while true {
            if let failure = decoder.failure { throw try ended(failure) }
            guard let count = try read(&received, into: scratch) else { return nil }
            let payload = decoder.decode(UnsafeMutableRawBufferPointer(rebasing: scratch[..<count]))
            ping = decoder.takePing() ?? ping
            try answerPing()
            if payload > 0 {
                isSecret = false
                return payload
            }
        }
    }

    private func read(
        _ received: inout ByteQueue, into scratch: UnsafeMutableRawBufferPointer
    ) throws(MQTTError) -> Int? {
        if early.isEmpty { return try inner.open(&received, into: scratch) }
        let count = min(early.count, scratch.count)
        early.withPrefix(count) { scratch.copyMemory(from: $0) }
        early.remove(count)
        return count
    }

    /// Sends the newest ping's pong, at most one at a time: a server that sends pings and reads nothing fills no
    /// memory.
    private func answerPing() throws(MQTTError) {
        guard let payload = ping, pongRest == 0, !hasClosed else { return }
        ping = nil
        try writeControl(.pong, payload)
        pongRest = inner.unsent
    }

    /// Answers the end of the stream with a close frame (RFC 6455, section 5.5.1).
    private func ended(_ failure: MQTTError) throws(MQTTError) -> MQTTError {
        var failure = failure
        try close(failure.code == .closed ? failure.webSocket?.closeCode ?? 1_000 : 1_002)
        if let reason = failure.webSocket?.closeReason {
            let shown = ForeignText(WebSocketHandshake.redacted(reason, request)).description
            failure.webSocket?.closeReason = shown
            failure.message += ": " + quoted(shown)
        }
        return failure
    }

    private func close(_ code: UInt16) throws(MQTTError) {
        if hasClosed { return }
        hasClosed = true
        try writeControl(.close, WebSocketFrame.closePayload(code))
    }

    private func writeControl(_ opcode: WebSocketFrame.Opcode, _ payload: [UInt8]) throws(MQTTError) {
        let frame = WebSocketFrame.control(opcode, payload, key: masks.next())
        let result = frame.withUnsafeBytes { bytes in
            Result { () throws(MQTTError) in try inner.write(bytes) }
        }
        try result.get()
    }

    // MARK: Outbound

    /// The room for a header in front of the first piece of a frame. A multiple of four, so that the mask of the next
    /// piece begins with its first byte; the pieces fill TLS records.
    static let headerRoom = 16
    private let pieceSize: Int

    func write(_ bytes: UnsafeRawBufferPointer) throws(MQTTError) {
        if bytes.isEmpty || hasClosed { return }
        let result = withUnsafeTemporaryAllocation(
            byteCount: min(bytes.count + Self.headerRoom, pieceSize), alignment: 8
        ) { piece in
            Result { () throws(MQTTError) in try write(bytes, through: piece) }
        }
        try result.get()
    }

    /// Masks and writes piece by piece.
    private func write(
        _ bytes: UnsafeRawBufferPointer, through piece: UnsafeMutableRawBufferPointer
    ) throws(MQTTError) {
        let key = masks.next()
        var filled = WebSocketFrame.writeHeader(.binary, count: bytes.count, key: key, to: piece)
        var room = piece.count - Self.headerRoom
        var written = 0
        while written < bytes.count {
            let count = min(room, bytes.count - written)
            WebSocketFrame.mask(
                UnsafeRawBufferPointer(rebasing: bytes[written..<written + count]), key: key,
                into: UnsafeMutableRawBufferPointer(rebasing: piece[filled..<filled + count]))
            try inner.write(UnsafeRawBufferPointer(rebasing: piece[..<(filled + count)]))
            written += count
            filled = 0
            room = piece.count
        }
        // The key is in the header: a masked password is a readable one.
        if isSecret { OPENSSL_cleanse(piece.baseAddress, piece.count) }
    }

    /// Ends the WebSocket, then the inner stream.
    func finishWriting() {
        do throws(MQTTError) { try close(1_000) } catch {}
        inner.finishWriting()
    }

    var unsent: Int { inner.unsent }

    func send(_ take: (UnsafeRawBufferPointer) -> StreamSocket.Transfer) -> TransportProgress {
        let progress = inner.send(take)
        pongRest = max(0, pongRest - progress.count)
        return progress
    }

    func hasSent() {
        do throws(MQTTError) { try answerPing() } catch {}
    }

    func rest() {
        masks.rest()
        early.rest()
        inner.rest()
    }
}

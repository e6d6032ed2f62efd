// SPDX-License-Identifier: Apache-2.0

/// The path from the socket to packets: received bytes are decrypted, decoded and answered.
extension Connection {
    /// One `recv`. Returns whether the stream has ended.
    func receive() throws(MQTTError) -> Bool {
        switch socket.receive(into: scratch) {
        case .bytes(let count):
            traffic.received += count
            receivedBytes += count
            if stage <= .handshaking, !hasReceived {
                foreign = ForeignProtocol(UnsafeRawBufferPointer(rebasing: scratch[..<count]))
            }
            // A front answers for its WebSockets, also while the broker behind it hangs: ``consume()`` counts the bytes
            // of MQTT. An incomplete record that is larger than a ping's has a message.
            if webSocket == nil || received.count > Self.largestPing { keepAlive?.received(.now) }
            received.append(UnsafeRawBufferPointer(rebasing: scratch[..<count]))
            hasReceived = true
            if !decoder.connackSeen { socket.acknowledgeAtOnce() }
            return false
        case .nothing: return false
        case .end: return true
        case .failed(let code):
            // Bytes received before the reset still count: an alert among them may give the reason.
            if !received.isEmpty, stage == .established { try consume() }
            throw lost(code, stage == .handshaking ? .tlsHandshake : .connected)
        }
    }

    /// More than the size of a record with a ping, whose payload has at most 125 bytes (RFC 6455, section 5.5).
    private static let largestPing = 512

    /// Decrypts and decodes piece by piece.
    func consume() throws(MQTTError) {
        if tls == nil, webSocket == nil, !decoder.connackSeen { try refuseTLS() }
        // Bytes after a refusal or a DISCONNECT are not decoded.
        if decoder.hasEnded { return }
        while !isReadingPaused, stage == .established, let count = try open() {
            let bytes = UnsafeRawBufferPointer(rebasing: scratch[..<count])
            if webSocket != nil, count > 0 { keepAlive?.received(.now) }
            do throws(MQTTError) { try decoder.decode(bytes) } catch {
                if let code = decoder.reasonCode { disconnect(because: code) }
                throw named(error, bytes)
            }
            if decoder.hasEnded { return }
        }
        if hasEnded, !isReadingPaused { throw endOfStream(.connected) }
    }

    /// Writes PUBACK, PUBREC, PUBREL and PUBCOMP, of four bytes each. ``flush()`` sends them.
    func writeAcknowledgements(_ packets: UnsafeRawBufferPointer) {
        guard stage == .established else { return }
        write(packets)
        if log != nil { logAcknowledgements(packets) }
    }

    /// Logs acknowledgements in libmosquitto's format.
    func logAcknowledgements(_ acknowledgements: UnsafeRawBufferPointer) {
        for start in stride(from: 0, to: acknowledgements.count, by: 4) {
            let packetID = UInt16(acknowledgements[start + 2]) << 8 | UInt16(acknowledgements[start + 3])
            switch acknowledgements[start] >> 4 {
            case 4: log?("sending PUBACK (m\(packetID), rc0)")
            case 5: log?("sending PUBREC (m\(packetID), rc0)")
            case 6: log?("sending PUBREL (m\(packetID))")
            default: log?("sending PUBCOMP (m\(packetID))")
            }
        }
    }

    func open() throws(MQTTError) -> Int? {
        do throws(MQTTError) {
            return try transport.open(&received, into: scratch)
        } catch {
            // Sends the client's alert, if there is one.
            _ = send()
            throw error.code == .closed ? explained(error) : error
        }
    }

    /// Throws if the broker speaks TLS. Within a proxy's TLS ``named(_:_:)`` finds that out.
    func refuseTLS() throws(MQTTError) {
        if tunnel == nil, received.withPrefix(2, { Self.isTLS($0) }) { throw Self.tlsRequired }
    }
}

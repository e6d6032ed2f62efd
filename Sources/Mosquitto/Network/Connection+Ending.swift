// SPDX-License-Identifier: Apache-2.0

/// Deliberate end of a connection, and keep-alive checks.
extension Connection {
    /// Sends DISCONNECT after all queued bytes, and then waits for the broker to close the connection:
    /// ``Progress/finished``.
    func disconnect(_ disconnect: MQTTDisconnect) throws(MQTTError) {
        guard stage == .established else { return }
        write(PacketEncoder.disconnect(disconnect, decoder.version))
        log?("sending DISCONNECT")
        stage = .closing
        isReadingPaused = false
        transport.finishWriting()
        try flush()
        promiseDelivery()
        finishWritingIfSent()
    }

    /// Tells the broker of its violation, before the connection is closed (MQTT 5.0, section 4.13.1). The broker may
    /// never read the packet.
    func disconnect(because code: MQTTReasonCode) {
        write(PacketEncoder.disconnect(MQTTDisconnect(reasonCode: code), decoder.version))
        log?("sending DISCONNECT")
        _ = send()
    }

    func finishWritingIfSent() {
        if hasSentAll { socket.finishWriting() }
    }

    /// True if the client's DISCONNECT and everything before it was handed to the system.
    var hasSentAll: Bool {
        stage == .closing && transport.unsent == 0
    }

    func advanceClosing(_ events: PollEvents) throws(MQTTError) -> Progress {
        if events.contains(.writable) {
            try flush()
            finishWritingIfSent()
        }
        // Bounded, so that a broker that keeps sending does not block the loop.
        for _ in 0..<16 {
            switch socket.receive(into: scratch) {
            case .bytes: continue
            case .nothing: return .none
            case .end, .failed: return .finished
            }
        }
        return .none
    }

    /// Closes the connection at once.
    func close() {
        guard stage != .closed else { return }
        stage = .closed
        socket.close()
    }

    /// Starts the keep-alive. Returns the interval at which ``check()`` must be called; `nil` if there is no
    /// keep-alive.
    func watchKeepAlive(seconds: Int) -> Duration? {
        keepAlive = KeepAlive(seconds: seconds, now: .now)
        return keepAlive?.interval
    }

    /// Checks that the connection is alive: sends PINGREQ when it is due; throws when the PINGRESP is overdue. Returns
    /// true if it has sent PINGREQ.
    func check() throws(MQTTError) -> Bool {
        guard stage == .established, keepAlive != nil else { return false }
        var verdict = look()
        // After a suspension, bytes may have arrived that were not read yet.
        if verdict == .lost, mayRead {
            hasEnded = try receive()
            try consume()
            verdict = look()
        }
        switch verdict {
        case .fine: break
        case .ping: ping()
        case .lost:
            throw MQTTError(.keepAliveTimeout, "nothing came from the broker within the keep-alive", phase: .connected)
        }
        if keepAlive?.isQuiet(.now) == true {
            transport.rest()
            received.rest()
        }
        return verdict == .ping
    }

    func look() -> KeepAlive.Verdict {
        keepAlive?.look(now: .now, delivered: delivered, isReading: mayRead) ?? .fine
    }

    func ping() {
        write(PacketEncoder.pingreq)
        keepAlive?.pinged(end: sent + transport.unsent, now: .now)
        log?("sending PINGREQ")
    }
}

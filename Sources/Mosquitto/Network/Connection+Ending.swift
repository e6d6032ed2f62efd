/// The end of a connection on purpose, and the watch over its keep-alive.
extension Connection {
    /// Sends DISCONNECT after all that is queued, and then waits for the broker to close: ``Progress/finished``.
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

    func finishWritingIfSent() {
        if hasSentAll { socket.finishWriting() }
    }

    /// True if our DISCONNECT, and everything before it, was handed to the system.
    var hasSentAll: Bool {
        stage == .closing && transport.unsent == 0
    }

    func advanceClosing(_ events: PollEvents) throws(MQTTError) -> Progress {
        if events.contains(.writable) {
            try flush()
            finishWritingIfSent()
        }
        // A broker that goes on sending does not keep the loop.
        for _ in 0..<16 {
            switch socket.receive(into: scratch) {
            case .bytes: continue
            case .nothing: return .none
            case .end, .failed: return .finished
            }
        }
        return .none
    }

    /// Ends the connection at once.
    func close() {
        guard stage != .closed else { return }
        stage = .closed
        socket.close()
    }

    /// Begins to watch the keep-alive. Returns how often ``check()`` is to be called; `nil` if there is none.
    func watchKeepAlive(seconds: Int) -> Duration? {
        keepAlive = KeepAlive(seconds: seconds, now: .now)
        return keepAlive?.interval
    }

    /// Looks whether the connection is alive: sends PINGREQ when it is due; throws when its answer is overdue.
    func check() throws(MQTTError) {
        guard stage == .established, keepAlive != nil else { return }
        var verdict = look()
        // After a suspension, what has come meanwhile was not read yet.
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

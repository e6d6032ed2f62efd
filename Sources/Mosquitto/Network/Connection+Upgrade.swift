// SPDX-License-Identifier: Apache-2.0

/// The upgrade of a connection to a WebSocket.
extension Connection {
    /// True if the request is yet to be sent.
    var needsUpgrade: Bool { stage == .upgrading }

    /// Sends the request. A failure to send is reported by the socket, after the answer that came before it.
    func startUpgrade() throws(MQTTError) {
        try webSocket?.startUpgrade()
        _ = send()
        updateInterest()
    }

    /// Handles a ready socket.
    func advanceUpgrade(_ events: PollEvents) throws(MQTTError) -> Progress {
        guard let webSocket else { return .none }
        if events.contains(.writable) { _ = send() }
        defer { updateInterest() }
        var end: MQTTError?
        if events.contains(.failed) || events.contains(.readable) {
            do throws(MQTTError) {
                hasEnded = try receive()
                if hasEnded { end = endOfStream(.upgrade) }
            } catch {
                end = error
            }
        }
        if tls == nil { try refuseTLS() }
        do throws(MQTTError) {
            if try webSocket.upgrade(&received, scratch: scratch) {
                stage = .established
                try consume()
                return .upgraded
            }
        } catch {
            // The end of TLS, which may be the end of a body.
            guard error.code == .closed else {
                // Sends the client's alert, if there is one.
                _ = send()
                throw error
            }
            end = end ?? explained(error)
        }
        if let end { throw webSocket.refusal ?? end }
        return webSocket.refusal == nil ? .none : .refused
    }

    /// Ends the wait for the rest of a refusal.
    func endRefusal() throws(MQTTError) {
        if stage == .upgrading, let refusal = webSocket?.refusal { throw refusal }
    }
}

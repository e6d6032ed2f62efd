/// Messages of QoS 0 between the encoder and the kernel: handed over is not yet sent.
extension Session {
    /// How many publishes have not come to their end: those that wait, those of QoS 0 that the kernel has not taken, and those that the
    /// broker has not acknowledged.
    var unsentMessages: Int { shared.queue.length + pending.count + unsent.count + inFlight.count }

    /// Whether ``unsentMessages`` is not 0.
    var hasUnsentMessages: Bool {
        !inFlight.isEmpty || !pending.isEmpty || !unsent.isEmpty || !shared.queue.isEmpty
    }

    /// Writes the encoded packets.
    func write(_ connection: Connection) {
        if encoder.bytes.isEmpty { return }
        if !connection.hasUnsent { beganSending = encoder.bytes.count > 1 << 14 ? .now : nil }
        receivedBeforeOperation = connection.receivedBytes
        let start = connection.position
        connection.write(encoder.bytes)
        connection.promise()
        unsent.written(encoder.bytes.count, wire: start..<connection.position)
        encoder.removeAll()
    }

    /// The kernel has taken more bytes.
    func completeSent(_ connection: Connection) {
        while let publish = unsent.popFirst(sent: connection.sent) { succeed(publish, .success) }
    }

    /// The connection has ended. Messages of which bytes are missing cannot have reached the broker, and are sent again before the others.
    func requeueUnsent(_ connection: Connection) {
        if unsent.isEmpty { return }
        let publishes = unsent.takeAll(sent: connection.sent)
        for publish in publishes.sent { succeed(publish, .success) }
        pending.putBack(publishes.unsent.filter { !$0.isCancelled })
    }
}

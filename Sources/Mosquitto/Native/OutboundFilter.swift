import DequeModule

/// Stands where libmosquitto's packets leave, in plain text: it knows where one ends, so that a packet of our own goes between two
/// of them, and it can hold acknowledgements back until the message has been handled.
///
/// Acknowledgements leave in the order of the messages (MQTT 5.0, section 4.6), so one waits for those before it.
struct OutboundFilter {
    private enum Standing {
        case held
        /// The message has been handled.
        case due
        /// It will not be, and the broker keeps it.
        case abandoned
    }

    private struct Acknowledgement {
        let packetID: UInt16
        let packet: [UInt8]
        var standing: Standing
    }

    /// Whether PUBACK and PUBREC wait for ``release(_:isHandled:)``.
    private let holdsAcknowledgements: Bool
    private var held = Deque<Acknowledgement>()
    /// What was said of a message before libmosquitto has written its acknowledgement.
    private var early: [UInt16: Bool] = [:]
    /// The beginning of a packet whose length is not known yet, or of an acknowledgement that is not whole.
    private var head: [UInt8] = []
    /// What is left of a packet that passes.
    private var rest = 0
    /// Packets of our own, for the end of the one that passes.
    private var inserted: [UInt8] = []

    init(holdsAcknowledgements: Bool = false) { self.holdsAcknowledgements = holdsAcknowledgements }

    /// Passes on what libmosquitto has written.
    mutating func pass(_ bytes: UnsafeRawBufferPointer, to output: inout ByteQueue) {
        var position = 0
        while position < bytes.count {
            if rest > 0 {
                let step = min(rest, bytes.count - position)
                output.append(UnsafeRawBufferPointer(rebasing: bytes[position..<position + step]))
                rest -= step
                position += step
                if rest == 0 { endPacket(&output) }
                continue
            }
            head.append(bytes[position])
            position += 1
            guard let total = Self.length(of: head) else { continue }
            if isAcknowledgement {
                guard head.count == total else { continue }
                hold(head, &output)
                head.removeAll(keepingCapacity: true)
                endPacket(&output)
            } else {
                head.withUnsafeBytes { output.append($0) }
                rest = total - head.count
                head.removeAll(keepingCapacity: true)
                if rest == 0 { endPacket(&output) }
            }
        }
    }

    /// Sends a packet of our own, between two of libmosquitto's.
    mutating func insert(_ packet: [UInt8], to output: inout ByteQueue) {
        if rest == 0, head.isEmpty {
            packet.withUnsafeBytes { output.append($0) }
        } else {
            inserted += packet
        }
    }

    /// A message has been handled, or will not be. Every QoS 1 and 2 message that the broker has sent comes here once.
    mutating func release(_ packetID: UInt16, isHandled: Bool, to output: inout ByteQueue) {
        guard holdsAcknowledgements else { return }
        if let index = held.firstIndex(where: { $0.packetID == packetID && $0.standing == .held }) {
            held[index].standing = isHandled ? .due : .abandoned
            sendDue(&output)
        } else {
            early[packetID] = isHandled
        }
    }

    private var isAcknowledgement: Bool { holdsAcknowledgements && (head[0] >> 4 == 4 || head[0] >> 4 == 5) }

    private mutating func hold(_ packet: [UInt8], _ output: inout ByteQueue) {
        // The identifier is the first thing after a length of one byte: both packets are short.
        let packetID = UInt16(packet[2]) << 8 | UInt16(packet[3])
        let standing: Standing =
            switch early.removeValue(forKey: packetID) {
            case nil: .held
            case true: .due
            case false: .abandoned
            }
        held.append(Acknowledgement(packetID: packetID, packet: packet, standing: standing))
        sendDue(&output)
    }

    private mutating func sendDue(_ output: inout ByteQueue) {
        // Into the middle of a packet that passes, nothing may go.
        guard rest == 0 else { return }
        while let first = held.first, first.standing != .held {
            if first.standing == .due { first.packet.withUnsafeBytes { output.append($0) } }
            held.removeFirst()
        }
    }

    private mutating func endPacket(_ output: inout ByteQueue) {
        inserted.withUnsafeBytes { output.append($0) }
        inserted.removeAll()
        sendDue(&output)
    }

    /// The length of the packet that begins so, if that much of it is there (MQTT 5.0, section 2.1.4).
    private static func length(of head: [UInt8]) -> Int? {
        var value = 0
        for (index, byte) in head.dropFirst().prefix(4).enumerated() {
            value |= Int(byte & 0x7F) << (7 * index)
            if byte & 0x80 == 0 { return value + index + 2 }
        }
        return nil
    }
}

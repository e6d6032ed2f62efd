import DequeModule

/// Our answers to what the broker publishes: PUBACK and PUBREC at once, or held until the message has been handled. And
/// the other steps of QoS 2, PUBREL and PUBCOMP.
///
/// PUBACK and PUBREC leave in the order of the messages (MQTT 5.0, section 4.6), so one that is held holds those behind
/// it.
struct OutgoingAcknowledgements {
    private enum Standing {
        case held
        /// The message has been handled.
        case due
        /// It will not be, and the broker keeps it.
        case abandoned
    }

    private struct Held {
        let type: UInt8
        let packetID: UInt16
        var standing = Standing.held
    }

    private let holds: Bool
    private var held = Deque<Held>()
    /// The places of those of which nothing is known yet, counted from the first one ever.
    private var places: [UInt16: Int] = [:]
    /// The number that has left `held`.
    private var gone = 0
    /// Packets to be sent.
    private var due: [UInt8] = []

    init(holds: Bool) { self.holds = holds }

    /// A PUBLISH of QoS 1 or 2 has come.
    mutating func received(_ packetID: UInt16, _ qos: MQTTQoS) {
        let type: UInt8 = qos == .exactlyOnce ? 0x50 : 0x40
        guard holds else { return add(type, packetID) }
        // One PUBREC is the answer to a message that comes twice.
        if places[packetID] != nil { return }
        places[packetID] = gone + held.count
        held.append(Held(type: type, packetID: packetID))
    }

    /// A PUBLISH of QoS 1 or 2 has come whose message is done with, though others are held.
    mutating func delivered(_ packetID: UInt16, _ qos: MQTTQoS) {
        let type: UInt8 = qos == .exactlyOnce ? 0x50 : 0x40
        if held.isEmpty { return add(type, packetID) }
        held.append(Held(type: type, packetID: packetID, standing: .due))
    }

    /// True if one that is due waits for one that is held.
    var isBlocked: Bool { held.contains { $0.standing == .due } }

    /// A PUBREL has come.
    mutating func released(_ packetID: UInt16) { add(0x70, packetID) }

    /// A PUBREC has come, and refuses nothing.
    mutating func takenOver(_ packetID: UInt16) { add(0x62, packetID) }

    /// A message has been handled, or will not be. Says nothing of one whose acknowledgement is not held.
    ///
    /// - Parameter passed: gets each message whose turn has come: its acknowledgement is due, or the broker keeps it.
    mutating func settle(_ packetID: UInt16, isHandled: Bool, passed: (UInt16) -> Void = { _ in }) {
        guard let place = places.removeValue(forKey: packetID) else { return }
        held[place - gone].standing = isHandled ? .due : .abandoned
        while let first = held.first, first.standing != .held {
            if first.standing == .due { add(first.type, first.packetID) }
            passed(first.packetID)
            held.removeFirst()
            gone += 1
        }
    }

    private mutating func add(_ type: UInt8, _ packetID: UInt16) {
        due.append(type)
        due.append(2)
        due.append(UInt8(truncatingIfNeeded: packetID >> 8))
        due.append(UInt8(truncatingIfNeeded: packetID))
    }

    /// Takes the packets to be sent, of four bytes each.
    mutating func takeDue(_ body: (UnsafeRawBufferPointer) -> Void) {
        if due.isEmpty { return }
        due.withUnsafeBytes(body)
        due.removeAll(keepingCapacity: due.capacity <= 1 << 16)
    }
}

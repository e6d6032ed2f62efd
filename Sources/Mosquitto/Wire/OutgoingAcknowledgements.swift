// SPDX-License-Identifier: Apache-2.0

import DequeModule

/// The client's answers to the broker's publishes: PUBACK and PUBREC, sent at once or held until the message has been
/// handled; and the other steps of QoS 2, PUBREL and PUBCOMP.
///
/// PUBACK and PUBREC are sent in the order of the messages (MQTT 5.0, section 4.6): a held acknowledgement delays the
/// ones behind it.
struct OutgoingAcknowledgements {
    private enum Standing {
        case held
        /// The message has been handled.
        case due
        /// The message will not be handled, and the broker keeps it.
        case abandoned
    }

    private struct Held {
        let type: UInt8
        let packetID: UInt16
        var standing = Standing.held
    }

    private let holds: Bool
    private var held = Deque<Held>()
    /// The positions of the acknowledgements that are still held, counted from the first one of the connection.
    private var places: [UInt16: Int] = [:]
    /// Number of acknowledgements removed from `held`.
    private var gone = 0
    /// Packets to be sent.
    private var due: [UInt8] = []

    init(holds: Bool) { self.holds = holds }

    /// Records a received PUBLISH of QoS 1 or 2.
    mutating func received(_ packetID: UInt16, _ qos: MQTTQoS) {
        let type: UInt8 = qos == .exactlyOnce ? 0x50 : 0x40
        guard holds else { return add(type, packetID) }
        // A message that arrives twice gets one PUBREC.
        if places[packetID] != nil { return }
        places[packetID] = gone + held.count
        held.append(Held(type: type, packetID: packetID))
    }

    /// Records a received PUBLISH of QoS 1 or 2 that needs no handling, so that its acknowledgement waits only for
    /// earlier ones.
    mutating func delivered(_ packetID: UInt16, _ qos: MQTTQoS) {
        let type: UInt8 = qos == .exactlyOnce ? 0x50 : 0x40
        if held.isEmpty { return add(type, packetID) }
        held.append(Held(type: type, packetID: packetID, standing: .due))
    }

    /// True if a due acknowledgement waits for a held one.
    var isBlocked: Bool { held.contains { $0.standing == .due } }

    /// Records a received PUBREL.
    mutating func released(_ packetID: UInt16) { add(0x70, packetID) }

    /// Records a received PUBREC with a success code.
    mutating func takenOver(_ packetID: UInt16) { add(0x62, packetID) }

    /// Records that a message was handled, or will not be. No effect if its acknowledgement is not held.
    ///
    /// - Parameter passed: called with each message whose turn has come: its acknowledgement is due, or the broker
    ///   keeps it.
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

    /// Passes the packets to send, of four bytes each, and removes them.
    mutating func takeDue(_ body: (UnsafeRawBufferPointer) -> Void) {
        if due.isEmpty { return }
        due.withUnsafeBytes(body)
        due.removeAll(keepingCapacity: due.capacity <= 1 << 16)
    }
}

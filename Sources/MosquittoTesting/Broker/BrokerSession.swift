// SPDX-License-Identifier: Apache-2.0

internal import NIOCore

/// The state that a broker keeps for a client identifier (MQTT 5.0, 4.1). It does no I/O and uses no clock.
///
/// Confined to the broker's event loop.
final class BrokerSession {
    struct Subscription {
        /// The filter's levels, without `$share/group/`.
        let levels: [Substring]
        let shareGroup: String?
        let qos: UInt8
        let noLocal: Bool
        let retainAsPublished: Bool
        let identifier: UInt32?
    }

    /// A packet that the broker resends after a reconnect.
    enum Resend: Equatable {
        case publish(packetID: UInt16)
        case pubrel(packetID: UInt16)
    }

    private struct InFlight {
        let packetID: UInt16
        /// `nil` once PUBREC arrived: then only PUBREL is due.
        var message: BrokerMessage?
    }

    let clientID: String

    /// By topic filter as the client wrote it.
    var subscriptions: [String: Subscription] = [:]

    /// In seconds. 0 ends the session with its connection, `UInt32.max` keeps it indefinitely.
    var expiry: UInt32

    /// Maximum number of unacknowledged QoS 1 and 2 messages (MQTT 5.0, 3.1.2.11.3).
    var receiveMaximum = 1_000

    /// The client's QoS 2 messages whose PUBREL has not arrived. They are routed on PUBREL, so that a resent PUBLISH is
    /// not routed twice.
    private var incoming: [UInt16: BrokerMessage] = [:]
    private var queue = CircularBuffer<BrokerMessage>()
    private var inFlight: [InFlight] = []
    private var lastPacketID: UInt16 = 0

    init(clientID: String, expiry: UInt32) {
        self.clientID = clientID
        self.expiry = expiry
    }

    /// Appends a QoS 1 or 2 message to the queue of messages to send.
    func enqueue(_ message: BrokerMessage) {
        queue.append(message)
    }

    /// Takes the next message that the send window permits.
    func nextToSend() -> (packetID: UInt16, message: BrokerMessage)? {
        guard inFlight.count < receiveMaximum, let message = queue.popFirst() else { return nil }
        let packetID = nextPacketID()
        inFlight.append(InFlight(packetID: packetID, message: message))
        return (packetID, message)
    }

    /// Handles PUBACK, PUBCOMP, or a PUBREC with an error: the exchange is complete.
    func complete(packetID: UInt16) {
        inFlight.removeAll { $0.packetID == packetID }
    }

    /// Handles PUBREC: the client owns the message now.
    func release(packetID: UInt16) {
        guard let index = inFlight.firstIndex(where: { $0.packetID == packetID }) else { return }
        inFlight[index].message = nil
    }

    /// Returns the packets that a resumed session resends, in the original order (MQTT 5.0, 4.4 and 4.6).
    func resends() -> [Resend] {
        inFlight.map { $0.message == nil ? .pubrel(packetID: $0.packetID) : .publish(packetID: $0.packetID) }
    }

    /// The unacknowledged message with this packet identifier.
    func unacknowledged(packetID: UInt16) -> BrokerMessage? {
        inFlight.first { $0.packetID == packetID }?.message
    }

    /// Keeps a QoS 2 message of the client until PUBREL. A second PUBLISH with the same packet identifier is the same
    /// message.
    func receive(_ message: BrokerMessage, packetID: UInt16) {
        if incoming[packetID] == nil { incoming[packetID] = message }
    }

    /// Handles the client's PUBREL: returns the message once.
    func takeReceived(packetID: UInt16) -> BrokerMessage? {
        incoming.removeValue(forKey: packetID)
    }

    private func nextPacketID() -> UInt16 {
        // At most receiveMaximum identifiers are in use, hence a free one is found soon.
        repeat {
            lastPacketID = lastPacketID == .max ? 1 : lastPacketID + 1
        } while inFlight.contains { $0.packetID == lastPacketID }
        return lastPacketID
    }
}

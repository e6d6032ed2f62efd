/// The packet identifiers of a session (MQTT 5.0, section 2.2.1), shared by its publishes and its subscriptions. A class, so that
/// both hold the same one; confined to the loop's thread.
final class PacketIdentifiers {
    /// A bit for each identifier in use, up to the highest one so far.
    private var words: [UInt64] = []
    private var last: UInt16 = 0
    /// Identifiers that an earlier process has left in use at the broker.
    private var foreign: Set<UInt16> = []

    /// Returns an identifier that is not in use, and is from now on.
    func take() throws(MQTTError) -> UInt16 {
        for _ in 0..<UInt16.max where !isInUse(count()) {
            mark(last)
            return last
        }
        throw MQTTError(.system, "all 65535 packet identifiers are in use", phase: .connected)
    }

    /// Counts a message of QoS 0, which has no identifier and counts, as it does for libmosquitto.
    @discardableResult
    func count() -> UInt16 {
        last = last == .max ? 1 : last + 1
        return last
    }

    func isInUse(_ packetID: UInt16) -> Bool {
        let index = Int(packetID >> 6)
        return index < words.count && words[index] & 1 << (packetID & 63) != 0
    }

    private func mark(_ packetID: UInt16) {
        let index = Int(packetID >> 6)
        while words.count <= index { words.append(0) }
        words[index] |= 1 << (packetID & 63)
    }

    /// The broker has answered, or the connection of the packet has ended.
    func free(_ packetID: UInt16) {
        let index = Int(packetID >> 6)
        if index < words.count { words[index] &= ~(1 << (packetID & 63)) }
    }

    // MARK: Earlier processes

    /// The session is resumed, and this client has sent nothing in it: an earlier process has, and may have left identifiers in use, low
    /// ones more likely than others. A broker would take a new message of QoS 2 under one of them for a repetition (section 4.3.3).
    func avoidForeign() {
        if last == 0 { last = .random(in: 1..<(.max)) }
    }

    /// Leaves an identifier alone for as long as the broker keeps the session.
    func avoid(_ packetID: UInt16) {
        if foreign.insert(packetID).inserted { mark(packetID) }
    }

    /// The broker has no session.
    func forgetForeign() {
        for packetID in foreign { free(packetID) }
        foreign.removeAll()
    }

    /// Counts on from this one: each connection of a clean session begins with 1 again.
    func restart(after packetID: UInt16 = 0) { last = packetID }
}

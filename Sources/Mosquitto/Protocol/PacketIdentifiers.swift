// SPDX-License-Identifier: Apache-2.0

/// The packet identifiers of a session (MQTT 5.0, section 2.2.1), shared by its publishes and its subscriptions: a
/// class, so that both refer to the same object. Confined to the loop's thread.
final class PacketIdentifiers {
    /// One bit per identifier in use, up to the highest one so far.
    private var words: [UInt64] = []
    private var last: UInt16 = 0
    /// Identifiers that an earlier process has left in use at the broker.
    private var foreign: Set<UInt16> = []

    /// Returns a free identifier, and marks it as in use.
    func take() throws(MQTTError) -> UInt16 {
        for _ in 0..<UInt16.max where !isInUse(count()) {
            mark(last)
            return last
        }
        throw MQTTError(.system, "all 65535 packet identifiers are in use", phase: .connected)
    }

    /// Counts a message of QoS 0, which has no identifier but is counted, as in libmosquitto.
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

    /// Frees an identifier after the broker has answered, or after the connection of the packet has ended.
    func free(_ packetID: UInt16) {
        let index = Int(packetID >> 6)
        if index < words.count { words[index] &= ~(1 << (packetID & 63)) }
    }

    // MARK: Earlier processes

    /// Starts at a random identifier if the session is resumed and this client has sent nothing in it: an earlier
    /// process may have left identifiers in use, most likely low ones. A broker would take a new message of QoS 2 with
    /// one of them for a repetition (section 4.3.3).
    func avoidForeign() {
        if last == 0 { last = .random(in: 1..<(.max)) }
    }

    /// Excludes an identifier for as long as the broker keeps the session.
    func avoid(_ packetID: UInt16) {
        if foreign.insert(packetID).inserted { mark(packetID) }
    }

    /// Frees the excluded identifiers: the broker has no session.
    func forgetForeign() {
        for packetID in foreign { free(packetID) }
        foreign.removeAll()
    }

    /// Continues after this identifier. Each connection of a clean session starts with 1 again.
    func restart(after packetID: UInt16 = 0) { last = packetID }
}

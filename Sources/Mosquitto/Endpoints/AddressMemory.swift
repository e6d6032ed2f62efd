/// Remembers the addresses of a name that took a TCP connection and gave no CONNACK: a hung process, whose kernel still accepts, or
/// a broken TLS listener. `getaddrinfo` gives the same order each time (RFC 6724, section 6, rule 9), so without a memory such an
/// address is the first one of every attempt. A value without clock or I/O.
struct AddressMemory {
    /// The age at which an entry is forgotten: longer than the longest usual delay between two attempts, so that each address of a
    /// name has its turn, and short enough to come back to the system's preference within an hour.
    static let lifetime = Duration.seconds(3_600)
    /// The number of entries; the oldest one makes room.
    static let capacity = 64

    /// The addresses of one attempt.
    struct Order: Equatable {
        var addresses: [String] = []
        /// How many addresses at the end are suspects; 0 if there are no others.
        var suspects = 0
    }

    private struct Entry {
        let endpoint: MQTTEndpoint
        let address: String
        let since: ContinuousClock.Instant
    }

    /// The oldest first.
    private var entries: [Entry] = []

    /// A TCP connection was made: the address is a suspect until ``answered(by:of:)``, however the attempt ends.
    mutating func connected(to address: String, of endpoint: MQTTEndpoint, now: ContinuousClock.Instant) {
        answered(by: address, of: endpoint)
        if entries.count >= Self.capacity { entries.removeFirst() }
        entries.append(Entry(endpoint: endpoint, address: address, since: now))
    }

    /// A broker has answered there.
    mutating func answered(by address: String, of endpoint: MQTTEndpoint) {
        entries.removeAll { $0.address == address && $0.endpoint == endpoint }
    }

    /// The system's order with the families taking turns, and behind it the suspects, of which the oldest comes first.
    func order(_ addresses: [String], of endpoint: MQTTEndpoint, now: ContinuousClock.Instant) -> Order {
        let suspects = entries.filter { $0.endpoint == endpoint && now - $0.since < Self.lifetime }.map(\.address)
            .filter(addresses.contains)
        let others = addresses.filter { !suspects.contains($0) }
        return Order(
            addresses: ConnectRace.interleaved(others) + suspects, suspects: others.isEmpty ? 0 : suspects.count)
    }
}

extension MQTTError {
    /// Whether a broker spoke, and another address of the same name would say the same.
    var isAnswer: Bool {
        switch reasonCode {
        case nil, .serverUnavailable, .serverBusy, .serverShuttingDown: false
        default: true
        }
    }
}

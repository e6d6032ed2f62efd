// SPDX-License-Identifier: Apache-2.0

/// Remembers addresses that accepted a TCP connection but sent no CONNACK: those of a hung process, for which the
/// kernel still accepts, or of a broken TLS listener. `getaddrinfo` returns the same order each time (RFC 6724, section
/// 6, rule 9): without this memory such an address would be the first one of every attempt. A value without clock or
/// I/O.
struct AddressMemory {
    /// The age at which an entry is discarded: longer than the longest usual delay between two attempts, so that each
    /// address of a name has its turn, and short enough to return to the system's order within an hour.
    static let lifetime = Duration.seconds(3_600)
    /// Maximum number of entries; the oldest one is discarded first.
    static let capacity = 64

    /// The addresses of one attempt.
    struct Order: Equatable {
        var addresses: [String] = []
        /// Number of suspects at the end of `addresses`; 0 if all addresses are suspects.
        var suspects = 0
    }

    private struct Entry {
        let endpoint: MQTTEndpoint
        let address: String
        let since: ContinuousClock.Instant
    }

    /// Oldest first.
    private var entries: [Entry] = []

    /// Records a TCP connection. The address is a suspect until ``answered(by:of:)``, however the attempt ends.
    mutating func connected(to address: String, of endpoint: MQTTEndpoint, now: ContinuousClock.Instant) {
        answered(by: address, of: endpoint)
        if entries.count >= Self.capacity { entries.removeFirst() }
        entries.append(Entry(endpoint: endpoint, address: address, since: now))
    }

    /// Records that a broker answered at this address.
    mutating func answered(by address: String, of endpoint: MQTTEndpoint) {
        entries.removeAll { $0.address == address && $0.endpoint == endpoint }
    }

    /// Returns the system's order with alternating address families, followed by the suspects, oldest first.
    func order(_ addresses: [String], of endpoint: MQTTEndpoint, now: ContinuousClock.Instant) -> Order {
        let suspects = entries.filter { $0.endpoint == endpoint && now - $0.since < Self.lifetime }.map(\.address)
            .filter(addresses.contains)
        let others = addresses.filter { !suspects.contains($0) }
        return Order(
            addresses: Self.interleaved(others) + suspects, suspects: others.isEmpty ? 0 : suspects.count)
    }

    /// Orders addresses by RFC 8305, section 4: the system's order, with the families taking turns.
    static func interleaved(_ addresses: [String]) -> [String] {
        guard let first = addresses.first else { return [] }
        let leading = addresses.filter { $0.contains(":") == first.contains(":") }
        let others = addresses.filter { $0.contains(":") != first.contains(":") }
        var result: [String] = []
        for index in 0..<max(leading.count, others.count) {
            if index < leading.count { result.append(leading[index]) }
            if index < others.count { result.append(others[index]) }
        }
        return result
    }
}

extension MQTTError {
    /// True if a broker answered, and would answer the same at another address of the name.
    var isAnswer: Bool {
        if phase == .upgrade || code == .proxy, let httpStatus { return httpStatus < 500 }
        return switch reasonCode {
        case nil, .serverUnavailable, .serverBusy, .serverShuttingDown: false
        default: true
        }
    }
}

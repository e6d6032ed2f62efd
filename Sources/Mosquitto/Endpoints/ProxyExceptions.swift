// SPDX-License-Identifier: Apache-2.0

/// The endpoints that no proxy serves, in the form of the environment's `NO_PROXY`.
struct ProxyExceptions: Sendable {
    private let entries: [String]

    init(_ entries: [String]) { self.entries = entries }

    func contain(_ endpoint: MQTTEndpoint) -> Bool {
        if entries.isEmpty { return false }
        let host = endpoint.host.lowercased().withoutRootDot
        let address = HostAddresses.bytes(Self.unscoped(host[...]))
        return entries.contains { Self.matches($0.lowercased(), host, address, endpoint.port) }
    }

    private static func matches(_ entry: String, _ host: String, _ address: [UInt8]?, _ port: Int) -> Bool {
        if entry == "*" { return true }
        var (name, wanted) = (entry[...], Int?.none)
        if name.hasPrefix("["), let end = name.firstIndex(of: "]") {
            wanted = number(name[name.index(after: end)...])
            name = name[name.index(after: name.startIndex)..<end]
        } else if let colon = name.firstIndex(of: ":"), name[colon...].dropFirst().allSatisfy({ $0 != ":" }) {
            // Exactly one colon: an IPv6 address without brackets has more.
            wanted = number(name[colon...])
            name = name[..<colon]
        }
        if let wanted, wanted != port { return false }
        if let address { return block(name).map { $0.contains(address) } ?? false }
        if name.hasPrefix("*") { name.removeFirst() }
        if name.hasPrefix(".") { name.removeFirst() }
        let domain = String(name).withoutRootDot
        return !domain.isEmpty && (host == domain || host.hasSuffix("." + domain))
    }

    /// Returns the number after a colon; -1, which no port is, for what is none.
    private static func number(_ text: Substring) -> Int? { text.isEmpty ? nil : Int(text.dropFirst()) ?? -1 }

    /// Returns an address without its scope ("%eth0"), which belongs to this machine.
    private static func unscoped(_ address: Substring) -> String { String(address.prefix { $0 != "%" }) }

    /// Addresses with a common prefix.
    private struct Block {
        let base: [UInt8]
        let bits: Int

        func contains(_ address: [UInt8]) -> Bool {
            guard address.count == base.count else { return false }
            let whole = bits / 8
            guard address[..<whole] == base[..<whole] else { return false }
            let rest = bits % 8
            return rest == 0 || (address[whole] ^ base[whole]) >> (8 - rest) == 0
        }
    }

    private static func block(_ text: Substring) -> Block? {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let base = parts.first.flatMap({ HostAddresses.bytes(unscoped($0)) }) else { return nil }
        guard parts.count == 2 else { return Block(base: base, bits: base.count * 8) }
        guard let bits = Int(parts[1]), (0...base.count * 8).contains(bits) else { return nil }
        return Block(base: base, bits: bits)
    }
}

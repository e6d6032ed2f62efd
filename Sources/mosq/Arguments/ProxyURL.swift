// SPDX-License-Identifier: Apache-2.0

import Mosquitto

/// The argument of `--proxy`: `socks5h://[username[:password]@]host[:port]` as in mosquitto, where user name and
/// password may have `%25`, `%3A` and `%40` for `%`, `:` and `@`; `http://` or `https://` with the same parts,
/// percent-encoded; or `environment`.
///
/// Error messages never quote the URL: any part of it may contain a password.
struct ProxyURL {
    /// `nil` if the environment names none.
    let proxy: MQTTProxy?

    init(_ text: String) throws {
        if text == "environment" {
            proxy = try MQTTProxy.fromEnvironment()
        } else if ["http://", "https://"].contains(where: text.lowercased().hasPrefix) {
            proxy = try MQTTProxy(url: text)
        } else {
            proxy = try Self.socks(text)
        }
    }

    private static func socks(_ text: String) throws -> MQTTProxy {
        let scheme = "socks5h://"
        guard text.hasPrefix(scheme) else { throw CommandFailure.usage("Unsupported proxy protocol.") }
        var rest = text.dropFirst(scheme.count)
        var username: String?
        var password: MQTTSecret?
        if let at = rest.lastIndex(of: "@") {
            let user = rest[..<at].split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            guard !user[0].isEmpty else { throw CommandFailure.usage("Invalid proxy.") }
            username = try decoded(user[0])
            if user.count == 2 { password = MQTTSecret(try decoded(user[1])) }
            rest = rest[rest.index(after: at)...]
        }
        let parts = rest.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        guard let host = parts.first, !host.isEmpty else { throw CommandFailure.usage("Invalid proxy.") }
        var port = 1_080
        if parts.count == 2 {
            guard let number = Int(parts[1]), (1...65_535).contains(number) else {
                throw CommandFailure.usage("Invalid proxy port.")
            }
            port = number
        }
        return MQTTProxy(host: String(host), port: port, username: username, password: password)
    }

    private static func decoded(_ text: Substring) throws -> String {
        var result = ""
        var rest = text
        while let character = rest.popFirst() {
            guard character == "%" else {
                result.append(character)
                continue
            }
            switch rest.prefix(2).uppercased() {
            case "25": result.append("%")
            case "3A": result.append(":")
            case "40": result.append("@")
            default: throw CommandFailure.usage("Invalid proxy.")
            }
            rest = rest.dropFirst(2)
        }
        return result
    }
}

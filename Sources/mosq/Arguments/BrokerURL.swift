// SPDX-License-Identifier: Apache-2.0

import Mosquitto

/// The URL of `-L`: `mqtt(s)://[username[:password]@]host[:port]/topic`, or `ws(s)://…` for a WebSocket. Nothing in it
/// is decoded, as in mosquitto's commands, unless `--url-decode` is given.
///
/// Error messages never quote the URL: the apparent port may be the beginning of a password.
struct BrokerURL {
    /// The connection flags that the URL replaces. Flags after `-L` on the command line override them.
    let connection: [String]
    /// The topic flag that the URL replaces.
    let topic: [String]

    /// - Parameter decodes: true if `%XX` stands for a byte of the user name, the password and the topic.
    init(_ text: String, decodes: Bool = false) throws {
        var rest: Substring
        var arguments: [String]
        if let after = Self.drop("mqtt://", from: text) {
            rest = after
            arguments = ["--port", "1883"]
        } else if let after = Self.drop("mqtts://", from: text) {
            rest = after
            arguments = ["--port", "8883", "--tls-use-os-certs"]
        } else if let after = Self.drop("ws://", from: text) {
            rest = after
            arguments = ["--port", "80", "--ws"]
        } else if let after = Self.drop("wss://", from: text) {
            rest = after
            arguments = ["--port", "443", "--tls-use-os-certs", "--ws"]
        } else {
            throw CommandFailure.usage("unsupported URL scheme.")
        }
        guard let slash = rest.firstIndex(of: "/") else {
            throw CommandFailure.usage("Invalid URL for -L argument specified - topic missing.")
        }
        func part(_ text: Substring) throws -> String { decodes ? try Self.decoded(text) : String(text) }
        topic = ["--topic", try part(rest[rest.index(after: slash)...])]
        rest = rest[..<slash]
        if let at = rest.firstIndex(of: "@") {
            let user = rest[..<at].split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            if user.count == 2 { arguments += ["--pw", try part(user[1])] }
            arguments += ["--username", try part(user[0])]
            rest = rest[rest.index(after: at)...]
        }
        let (host, port) = try Self.hostAndPort(rest)
        arguments += ["--host", String(host)]
        if let port { arguments += ["--port", String(port)] }
        connection = arguments
    }

    private static func drop(_ scheme: String, from text: String) -> Substring? {
        text.prefix(scheme.count).lowercased() == scheme ? text.dropFirst(scheme.count) : nil
    }

    /// RFC 3986, section 2.1.
    private static func decoded(_ text: Substring) throws -> String {
        guard let bytes = PercentEncoding.bytes(of: text) else {
            throw CommandFailure.usage("Invalid URL for -L argument specified - % without two hexadecimal digits.")
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw CommandFailure.usage("Invalid URL for -L argument specified - what it encodes is not UTF-8.")
        }
        return text
    }

    /// An IPv6 address needs brackets, which mosquitto's commands do not support. RFC 6874: `%25` separates its zone.
    private static func hostAndPort(_ text: Substring) throws -> (Substring, Substring?) {
        if text.hasPrefix("["), let end = text.firstIndex(of: "]") {
            let host = text[text.index(after: text.startIndex)..<end].replacing("%25", with: "%", maxReplacements: 1)
            let rest = text[text.index(after: end)...]
            return (host, rest.isEmpty ? nil : try port(rest.dropFirst()))
        }
        guard let colon = text.firstIndex(of: ":") else { return (text, nil) }
        return (text[..<colon], try port(text[text.index(after: colon)...]))
    }

    private static func port(_ text: Substring) throws -> Substring {
        guard Int(text) != nil else {
            throw CommandFailure.usage("Invalid URL for -L argument specified - port is not a number.")
        }
        return text
    }
}

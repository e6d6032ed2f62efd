/// The URL of `-L`: `mqtt(s)://[username[:password]@]host[:port]/topic`. Nothing in it is decoded, as in mosquitto's
/// commands.
///
/// Error messages never quote the URL: the apparent port may be the beginning of a password.
struct BrokerURL {
    /// The connection flags that the URL replaces. Flags after `-L` on the command line override them.
    let connection: [String]
    /// The topic flag that the URL replaces.
    let topic: [String]

    init(_ text: String) throws {
        var rest: Substring
        var arguments: [String]
        if let after = Self.drop("mqtt://", from: text) {
            rest = after
            arguments = ["--port", "1883"]
        } else if let after = Self.drop("mqtts://", from: text) {
            rest = after
            arguments = ["--port", "8883", "--tls-use-os-certs"]
        } else {
            throw CommandFailure.usage("unsupported URL scheme.")
        }
        guard let slash = rest.firstIndex(of: "/") else {
            throw CommandFailure.usage("Invalid URL for -L argument specified - topic missing.")
        }
        topic = ["--topic", String(rest[rest.index(after: slash)...])]
        rest = rest[..<slash]
        if let at = rest.firstIndex(of: "@") {
            let user = rest[..<at].split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            if user.count == 2 { arguments += ["--pw", String(user[1])] }
            arguments += ["--username", String(user[0])]
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

    /// An IPv6 address needs brackets, which mosquitto's commands do not support.
    private static func hostAndPort(_ text: Substring) throws -> (Substring, Substring?) {
        if text.hasPrefix("["), let end = text.firstIndex(of: "]") {
            let host = text[text.index(after: text.startIndex)..<end]
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

// SPDX-License-Identifier: Apache-2.0

/// A header of the HTTP request that opens a WebSocket connection. Descriptions and dumps do not show the value.
public struct MQTTWebSocketHeader: Sendable, Hashable {
    /// The name, such as "Authorization". Case does not matter.
    public var name: String
    /// The value: printable characters.
    public var value: MQTTSecret

    public init(_ name: String, _ value: MQTTSecret) {
        self.name = name
        self.value = value
    }
}

/// The HTTP request of a WebSocket handshake (RFC 6455, section 4.1), which ``MQTTWebSocketPreparation`` completes
/// before each attempt.
///
/// The client itself sends `Host`, `Upgrade`, `Connection` and the `Sec-WebSocket-` headers. Descriptions and dumps
/// show neither the query nor a value of a header.
public struct MQTTWebSocketRequest: Sendable, Hashable, CustomStringConvertible, CustomReflectable {
    /// The endpoint of the attempt.
    public let endpoint: MQTTEndpoint
    /// The path, percent-encoded. Begins with "/".
    public var path: String
    /// The query, percent-encoded, without the "?"; `nil` for none.
    public var query: MQTTSecret?
    /// The additional headers.
    public var headers: [MQTTWebSocketHeader] = []
    /// The value of the header `Origin`, which browsers send and some servers demand; `nil` for none.
    public var origin: String?

    /// Creates the request to an endpoint. For one without a WebSocket the path is that of a URL without a path.
    public init(to endpoint: MQTTEndpoint) {
        self.endpoint = endpoint
        path = endpoint.webSocket?.path ?? MQTTEndpoint.WebSocket.standardPath
        query = endpoint.webSocket?.query
    }

    /// The value of the header `Host`, for signatures: the port is left out if it is 80 for `ws:` or 443 for `wss:`.
    public var host: String { endpoint.hostHeader }

    /// Sets a header, replacing all with the same name.
    public mutating func setHeader(_ name: String, _ value: MQTTSecret) {
        headers.removeAll { $0.name.lowercased() == name.lowercased() }
        headers.append(MQTTWebSocketHeader(name, value))
    }

    /// The limit of path, query and headers together.
    static let maximumSize = 65_536

    /// The reason for which the request cannot be sent, without a secret; `nil` if it can.
    var flaw: String? {
        if let flaw = RequestText.flaw(path: path) { return flaw }
        if let query, let flaw = RequestText.flaw(query: query) { return flaw }
        if let flaw = RequestText.flaw(headers: headers, origin: origin) { return flaw }
        return size > Self.maximumSize ? "path, query and headers have \(size) bytes; at most 65536 are allowed" : nil
    }

    var size: Int {
        headers.reduce(path.utf8.count + (query?.count ?? 0)) { $0 + $1.name.utf8.count + $1.value.count + 4 }
    }

    /// The texts that an answer may quote and that must not be shown.
    var secrets: [String] {
        var secrets: [String] = []
        if let query {
            secrets.append(query.text)
            for parameter in query.text.split(separator: "&") {
                let value = parameter.firstIndex(of: "=").map { parameter[$0...].dropFirst() } ?? parameter
                secrets.append(String(value))
                // A server quotes what it has decoded.
                if let decoded = PercentEncoding.decoded(value) { secrets.append(decoded) }
            }
        }
        for header in headers {
            secrets.append(header.value.text)
            secrets += header.value.text.split(separator: " ").map(String.init)
        }
        return secrets
    }

    public var description: String { "GET \(path)" + (query == nil ? "" : "?…") + " from \(host)" }

    public var customMirror: Mirror {
        Mirror(
            self,
            children: [
                "endpoint": "\(endpoint)", "path": path, "query": query as Any, "headers": headers.map(\.name),
                "origin": origin as Any,
            ])
    }
}

/// The characters of an HTTP request.
enum RequestText {
    static func flaw(path: String) -> String? {
        if !path.hasPrefix("/") { return "the path must begin with \"/\"" }
        if !path.utf8.allSatisfy({ isVisible($0) && $0 != UInt8(ascii: "?") && $0 != UInt8(ascii: "#") }) {
            return "the path has a character that must be percent-encoded"
        }
        return nil
    }

    static func flaw(query: MQTTSecret) -> String? {
        let isValid = query.withBytes { $0.allSatisfy { isVisible($0) && $0 != UInt8(ascii: "#") } }
        return isValid ? nil : "the query has a character that must be percent-encoded"
    }

    static func flaw(headers: [MQTTWebSocketHeader], origin: String?) -> String? {
        for header in headers {
            let name = header.name.lowercased()
            if name.isEmpty || !name.utf8.allSatisfy(HTTPHeadParser.isTokenCharacter) {
                return "the header \(quoted(header.name)) has no valid name"
            }
            if own.contains(name) || name.hasPrefix("sec-websocket-") {
                return "the header \(quoted(header.name)) is set by the client itself"
            }
            if name == "origin" { return "the header \"Origin\" is set by the property origin" }
            if !header.value.withBytes({ $0.allSatisfy(isFieldCharacter) }) {
                return "the value of the header \(quoted(header.name)) has a control character"
            }
        }
        if let origin, origin.isEmpty || !origin.utf8.allSatisfy(isVisible) {
            return "the origin \(quoted(origin)) is not of the form https://host"
        }
        return nil
    }

    private static let own: Set<String> = [
        "host", "upgrade", "connection", "content-length", "transfer-encoding", "te", "trailer", "expect",
    ]

    private static func isVisible(_ byte: UInt8) -> Bool { (0x21...0x7E).contains(byte) }

    /// RFC 9110, section 5.5.
    private static func isFieldCharacter(_ byte: UInt8) -> Bool { byte == 9 || byte >= 0x20 && byte != 0x7F }
}

// SPDX-License-Identifier: Apache-2.0

/// The details of a WebSocket failure: the HTTP answer that refused the upgrade, with ``MQTTError/httpStatus``, or the
/// frame that closed the connection.
///
/// All texts are printable, bounded, and without the query and the headers of the request, which an answer may quote.
public struct MQTTWebSocketFailure: Sendable, Hashable, CustomReflectable {
    /// The beginning of the answer's body, up to 8 KiB; `nil` if it has none.
    public var body: String?
    /// The name of the server or the proxy that answered (RFC 9110, `Server`), up to 80 characters.
    public var server: String?
    /// The reason of an answer 401, as far as it has one (RFC 9110, `WWW-Authenticate`; RFC 6750, section 3), up to 200
    /// characters.
    public var challenge: String?
    /// The delay that the server asks for (RFC 9110, `Retry-After`): at most an hour.
    public var retryAfter: Duration?
    /// The code of the server's close frame (RFC 6455, section 7.4), such as 1008 for a policy violation; `nil` if the
    /// frame has none.
    public var closeCode: UInt16?
    /// The text of the server's close frame, up to 123 bytes.
    public var closeReason: String?
    /// The target of a redirection. Not shown: its query may be signed.
    var location: String?

    public init(
        body: String? = nil, retryAfter: Duration? = nil, closeCode: UInt16? = nil, closeReason: String? = nil
    ) {
        self.body = body
        self.retryAfter = retryAfter
        self.closeCode = closeCode
        self.closeReason = closeReason
    }

    /// The largest `Retry-After` that is honored: a server with a wrong clock must not silence a client for good.
    static let longestRetryAfter = Duration.seconds(3_600)

    /// The message for the answer of a web server.
    static let webServer =
        "a captive portal or a web server answered, not a broker with WebSockets; log in to the network, or check host,"
        + " port and path"

    /// True for an answer of a web server or a captive portal, which know no WebSockets.
    static func isFromWebServer(_ status: Int) -> Bool { (200..<300).contains(status) || status == 511 }

    /// True for an answer that names another place for the same request (RFC 9110, section 15.4).
    static func isRedirection(_ status: Int) -> Bool { [301, 302, 303, 307, 308].contains(status) }

    public var customMirror: Mirror {
        Mirror(
            self,
            children: [
                "body": body as Any, "server": server as Any, "challenge": challenge as Any,
                "retryAfter": retryAfter as Any,
                "closeCode": closeCode as Any, "closeReason": closeReason as Any,
            ])
    }
}

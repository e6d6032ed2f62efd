// SPDX-License-Identifier: Apache-2.0

/// The HTTP request that opens a WebSocket connection. For endpoints with a WebSocket; others ignore it.
public struct MQTTWebSocketOptions: Sendable {
    /// Additional headers, such as an API key. The client itself sets `Host`, `Origin`, `Upgrade`, `Connection` and the
    /// `Sec-WebSocket-` headers. Default none.
    public var headers: [MQTTWebSocketHeader]
    /// The value of the header `Origin`, which some servers demand, such as "https://example.com". Default `nil`: none.
    public var origin: String?
    /// The completion of the request before **every** attempt, with a token in a header or in the URL; `nil`, the
    /// default, for a request that is always the same. Path, query and headers together may have 64 KiB.
    public var prepare: MQTTWebSocketPreparation?

    public init(
        headers: [MQTTWebSocketHeader] = [], origin: String? = nil, prepare: MQTTWebSocketPreparation? = nil
    ) {
        self.headers = headers
        self.origin = origin
        self.prepare = prepare
    }

    /// Returns the request to an endpoint before its preparation; `nil` for an endpoint without a WebSocket.
    func request(to endpoint: MQTTEndpoint) -> MQTTWebSocketRequest? {
        if endpoint.webSocket == nil { return nil }
        var request = MQTTWebSocketRequest(to: endpoint)
        request.headers = headers
        request.origin = origin
        return request
    }

    /// True if requests may have secrets, besides those of a URL.
    var hasSecrets: Bool { !headers.isEmpty || prepare != nil }

    func validate() throws(MQTTError) {
        if let flaw = RequestText.flaw(headers: headers, origin: origin) {
            throw .invalid(.invalidConfiguration, "webSocket: \(flaw)")
        }
    }
}

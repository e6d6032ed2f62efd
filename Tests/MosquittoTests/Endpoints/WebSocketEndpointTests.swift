// SPDX-License-Identifier: Apache-2.0

import Testing
import Turns

@testable import Mosquitto

@Suite(.turn(.units)) struct `A WebSocket endpoint` {
    @Test(arguments: [
        ("ws://broker", "ws://broker:80/mqtt"), ("wss://broker", "wss://broker:443/mqtt"),
        ("WSS://Broker:8443/a/b", "wss://Broker:8443/a/b"), ("ws://broker/", "ws://broker:80/"),
        ("ws://[::1]:8080/x", "ws://[::1]:8080/x"), ("ws://[fe80::1%25eth0]", "ws://[fe80::1%eth0]:80/mqtt"),
        ("wss://broker?a=b", "wss://broker:443/mqtt?…"), ("wss://broker/x?secret", "wss://broker:443/x?…"),
        ("wss://broker/a%20b", "wss://broker:443/a%20b"),
    ])
    func `is made of a URL, and shown without its query`(url: String, description: String) throws {
        let endpoint = try MQTTEndpoint(url: url)
        #expect(endpoint.description == description)
        #expect(endpoint.webSocket?.isSecure == description.hasPrefix("wss"))
    }

    @Test func `keeps the query`() throws {
        #expect(try MQTTEndpoint(url: "wss://broker/x?a=b&c").webSocket?.query == "a=b&c")
        #expect(try MQTTEndpoint(url: "wss://b?x") == .secureWebSocket(host: "b", query: "x"))
    }

    @Test(arguments: [
        "", "broker", "ws:", "ws://", "ws:///x", "mqtt://broker", "http://", "ws://user:secret@broker/",
        "ws://broker/#secret",
        "ws://broker:x/", "ws://broker:0/", "ws://broker:65536", "ws://a b/", "ws://broker/a b",
        "ws://broker/?a secret",
        "ws://[::1", "ws://::1/", "ws://broker/é", "ws://broker/\r\nX: y",
    ])
    func `is not made of nonsense, and the error shows no secret`(url: String) {
        let error = #expect(throws: MQTTError.self) { try MQTTEndpoint(url: url) }
        #expect(error?.code == .invalidConfiguration)
        #expect(error?.description.contains("secret") == false)
    }

    @Test func `never shows its query`() throws {
        let endpoint = try MQTTEndpoint(url: "wss://broker/x?signature=geheim")
        var request = MQTTWebSocketRequest(to: endpoint)
        request.setHeader("Authorization", "geheim")
        var configuration = MQTTClientConfiguration(endpoints: [endpoint])
        configuration.webSocket.headers = [MQTTWebSocketHeader("X", "geheim")]
        var text =
            "\(endpoint) \(request) \(configuration)" + String(reflecting: endpoint) + String(reflecting: request)
        dump(endpoint, to: &text)
        dump(request, to: &text)
        dump(configuration, to: &text)
        #expect(!text.contains("geheim"))
    }

    // MARK: Configuration

    private func message(_ configuration: MQTTClientConfiguration) -> String? {
        do throws(MQTTError) {
            try configuration.validate()
            return nil
        } catch {
            #expect(error.code == .invalidConfiguration)
            return error.message
        }
    }

    @Test func `with TLS needs it, and without TLS excludes it`() throws {
        let secure = try MQTTClientConfiguration(url: "wss://broker")
        #expect(secure.tls != nil && message(secure) == nil)
        let plain = try MQTTClientConfiguration(url: "ws://broker")
        #expect(plain.tls == nil && message(plain) == nil)
        #expect(message(MQTTClientConfiguration(endpoints: secure.endpoints, tls: nil))?.contains("needs TLS") == true)
        #expect(message(MQTTClientConfiguration(endpoints: plain.endpoints))?.contains("without TLS") == true)
    }

    @Test func `can stand beside one without a WebSocket`() {
        #expect(
            message(
                MQTTClientConfiguration(endpoints: [
                    MQTTEndpoint(host: "a", port: 8_883), .secureWebSocket(host: "a"),
                    .secureWebSocket(host: "a", path: "/b"),
                ])) == nil)
    }

    @Test(arguments: ["", "mqtt", "/a b", "/a?b", "/a#b", "/\r\n"])
    func `needs a path that can be sent`(path: String) {
        #expect(message(MQTTClientConfiguration(endpoints: [.secureWebSocket(host: "a", path: path)])) != nil)
    }

    @Test(
        arguments: [
            ("Host", "a"), ("sec-websocket-key", "a"), ("Upgrade", "a"), ("Content-Length", "1"), ("Origin", "a"),
            ("", "a"),
            ("a b", "c"), ("a:", "c"), ("X", "geheim\r\nY: z"), ("X", "geheim\u{0}"),
        ] as [(String, MQTTSecret)])
    func `refuses a header that the client sets or that cannot be sent`(name: String, value: MQTTSecret) {
        var configuration = MQTTClientConfiguration(endpoints: [.secureWebSocket(host: "a")])
        configuration.webSocket.headers = [MQTTWebSocketHeader(name, value)]
        let text = message(configuration)
        #expect(text?.contains("header") == true && text?.contains("geheim") == false)
    }

    @Test func `is needed by a preparation`() {
        var configuration = MQTTClientConfiguration(host: "a")
        configuration.webSocket.prepare = .bearer()
        #expect(message(configuration)?.contains("webSocket.prepare") == true)
    }

    // MARK: Redirections

    private let origin = MQTTEndpoint.secureWebSocket(host: "a", port: 8_443, path: "/x", query: "old")

    @Test(arguments: [
        ("wss://b/y?q", "wss://b:443/y?…"), ("https://b:1/y", "wss://b:1/y"), ("//b/y", "wss://b:443/y"),
        ("/y?q", "wss://a:8443/y?…"), ("/y", "wss://a:8443/y"), ("?q", "wss://a:8443/x?…"), ("/y#z", "wss://a:8443/y"),
        ("ws://b/y", nil), ("http://a:8443/x", nil), ("mqtts://b", nil), ("y", nil), ("", nil), ("wss://u@b/", nil),
        ("/a b", nil),
    ])
    func `leads to the target of an HTTP redirection, never out of TLS`(location: String, target: String?) {
        #expect(origin.target(of: location)?.description == target)
    }

    private func selector(_ policy: MQTTRedirectPolicy) -> EndpointSelector {
        var generator = JitterGenerator(seed: 1)
        return EndpointSelector([origin], order: .ordered, policy: policy, using: &generator)
    }

    @Test func `leads only where the policy allows`() {
        var none = selector(.none)
        #expect(none.follow(location: "/y", isPermanent: false) == nil)
        var listed = selector(.listed)
        #expect(listed.follow(location: "wss://b/x", isPermanent: false) == nil)
        #expect(listed.follow(location: "/y", isPermanent: false)?.webSocket?.path == "/y")
        #expect(listed.follow(location: "/x?old", isPermanent: false) == nil)
        var any = selector(.any)
        #expect(any.follow(location: "wss://b/x", isPermanent: true)?.host == "b")
        #expect(any.current.host == "b")
    }

    @Test func `of a Server Reference keeps the transport and the path, and the query only on the same host`() {
        #expect(
            origin.endpoints(of: "a:1 b") == [
                .secureWebSocket(host: "a", port: 1, path: "/x", query: "old"),
                .secureWebSocket(host: "b", port: 8_443, path: "/x"),
            ])
    }
}

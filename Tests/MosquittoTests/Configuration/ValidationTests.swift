// SPDX-License-Identifier: Apache-2.0

import Testing
import Turns

@testable import Mosquitto

@Suite(.turn(.units)) struct `A configuration` {
    typealias Change = @Sendable (inout MQTTClientConfiguration) -> Void

    private func error(_ change: Change) throws -> MQTTError {
        var configuration = MQTTClientConfiguration(host: "broker.example.com")
        change(&configuration)
        return try #require(#expect(throws: MQTTError.self) { try configuration.validate() })
    }

    @Test func `of defaults is valid`() throws {
        try MQTTClientConfiguration(host: "broker").validate()
        try MQTTClientConfiguration(host: "192.0.2.1", tls: nil).validate()
        try MQTTClientConfiguration(host: "2001:db8::1").validate()
    }

    @Test func `has the ports of MQTT, with TLS unless told otherwise`() {
        #expect(MQTTClientConfiguration(host: "b").endpoints[0].port == 8883)
        #expect(MQTTClientConfiguration(host: "b", tls: nil).endpoints[0].port == 1883)
        #expect(MQTTClientConfiguration(host: "b", port: 1).endpoints[0].port == 1)
    }

    @Test func `gives each client an identifier of its own (D7)`() {
        let configuration = MQTTClientConfiguration(host: "b")
        #expect(configuration.clientID == nil)
        let identifiers = Set((0..<100).map { _ in MQTTClient(configuration).configuration.clientID })
        #expect(identifiers.count == 100)
        for identifier in identifiers { #expect(identifier?.wholeMatch(of: /swift-[0-9a-f]{16}/) != nil) }
        var named = configuration
        named.clientID = "mine"
        #expect(MQTTClient(named).configuration.clientID == "mine")
    }

    @Test func `needs an identifier of the user's for a persistent session (D7)`() throws {
        let error = try error { $0.session = .persistent }
        #expect(error.code == .invalidConfiguration)
        #expect(error.message.contains("clientID"))
        var configuration = MQTTClient(MQTTClientConfiguration(host: "b")).configuration
        try configuration.validate()
        configuration.session = .persistent
        #expect(throws: MQTTError.self) { try configuration.validate() }
        configuration.clientID = "mine"
        try configuration.validate()
    }

    @Test(arguments: [0, -1, 65_536, Int.max])
    func `with a bad port is refused`(port: Int) throws {
        let error = try error { $0.endpoints[0].port = port }
        #expect(error.code == .invalidConfiguration)
        #expect(error.message.contains("\(port)"))
        #expect(error.message.contains("broker.example.com"))
    }

    @Test(arguments: ["mqtt://broker", "broker:1883/x", "[::1]", "bro ker", "a\nb", "a\0b", "\"b\"", "b?", "b#"])
    func `with a host that is no bare name is refused`(host: String) throws {
        let error = try error { $0.endpoints[0].host = host }
        #expect(error.code == .invalidConfiguration)
        #expect(error.message.contains(quoted(host)))
    }

    @Test(arguments: [0, 254])
    func `with a host of a bad length is refused`(length: Int) throws {
        let host = String(repeating: "h", count: length)
        #expect(try error { $0.endpoints[0].host = host }.message.hasPrefix("host "))
    }

    @Test(arguments: ["", "a\0b", "a\nb", "a\u{85}b", "a\(Unicode.Scalar(0xFDD0)!)", "a\u{1FFFE}"])
    func `with a bad client identifier is refused`(clientID: String) throws {
        let error = try error { $0.clientID = clientID }
        #expect(error.code == .invalidConfiguration)
        #expect(error.message.hasPrefix("clientID "))
    }

    @Test func `with a client identifier that is too long is refused`() throws {
        let error = try error { $0.clientID = String(repeating: "x", count: 65_536) }
        #expect(error.message.contains("65536 bytes"))
    }

    @Test(arguments: [
        Duration.seconds(1), .seconds(4), .seconds(65_536), .seconds(-5), .milliseconds(5_500), .nanoseconds(1),
    ])
    func `with a bad keep-alive is refused`(keepAlive: Duration) throws {
        #expect(try error { $0.keepAlive = keepAlive }.message.contains("keepAlive is \(keepAlive)"))
    }

    @Test(arguments: [Duration.zero, .seconds(5), .seconds(65_535)])
    func `may have the extremes of a keep-alive`(keepAlive: Duration) throws {
        var configuration = MQTTClientConfiguration(host: "b")
        configuration.keepAlive = keepAlive
        try configuration.validate()
    }

    @Test(arguments: [Duration.zero, .seconds(-1), .milliseconds(999), .seconds(4_294_967_296)])
    func `with a bad session expiry is refused`(expiry: Duration) throws {
        #expect(try error { $0.session = .persistent(expiry: expiry) }.message.contains("session expiry is \(expiry)"))
    }

    @Test(arguments: [0, 1, -0.5, 1.5, .nan, .infinity])
    func `with a bad fraction for the rotation is refused`(fraction: Double) throws {
        #expect(
            try error { $0.rotation.refreshAt = fraction }.message.contains("rotation.refreshAt is \(fraction)"))
    }

    @Test(arguments: [-0.1, 0.51, .nan])
    func `with a bad jitter is refused`(jitter: Double) throws {
        #expect(try error { $0.rotation.jitter = jitter }.message.contains("rotation.jitter is \(jitter)"))
    }

    private static let badValues: [(Change, String)] = [
        ({ $0.receiving.receiveMaximum = 0 }, "receiving.receiveMaximum is 0"),
        ({ $0.publishing.maximumInFlight = 0 }, "publishing.maximumInFlight is 0"),
        ({ $0.publishing.maximumInFlight = 65_536 }, "publishing.maximumInFlight is 65536"),
        ({ $0.receiving.maximumFiltersPerSubscribe = 0 }, "receiving.maximumFiltersPerSubscribe is 0"),
        ({ $0.publishing.queue.maximumMessages = 0 }, "publishing.queue.maximumMessages is 0"),
        ({ $0.publishing.queue.maximumBytes = 0 }, "publishing.queue.maximumBytes is 0"),
        ({ $0.receiving.maximumPacketSize = 127 }, "receiving.maximumPacketSize is 127"),
        ({ $0.receiving.maximumPacketSize = 268_435_461 }, "receiving.maximumPacketSize is 268435461"),
        ({ $0.connection.localAddress = "broker" }, "connection.localAddress \"broker\""),
        ({ $0.connect.cleanSessionExpiry = .milliseconds(999) }, "connect.cleanSessionExpiry is 0.999 seconds"),
        ({ $0.rotation.method = .reauthenticate }, "rotation.method .reauthenticate needs an authenticator"),
        ({ $0.retry.baseDelay = .zero }, "baseDelay is 0.0 seconds"),
        ({ $0.retry.maximumDelay = .milliseconds(1) }, "maximumDelay 0.001 seconds"),
        ({ $0.retry.minimumDelay = .seconds(-1) }, "minimumDelay"),
        ({ $0.retry.minimumAuthenticationDelay = .seconds(-1) }, "minimumAuthenticationDelay"),
        ({ $0.retry.resetAfter = .seconds(-1) }, "resetAfter"), ({ $0.retry.limit = .attempts(0) }, "0 attempts"),
        ({ $0.retry.limit = .elapsed(.zero) }, "0.0 seconds"),
        ({ $0.timeouts.credentials = .zero }, "timeout credentials is 0.0 seconds"),
        ({ $0.timeouts.resolve = .zero }, "timeout resolve"), ({ $0.timeouts.connect = .zero }, "timeout connect"),
        ({ $0.timeouts.tlsHandshake = .zero }, "timeout tlsHandshake"),
        ({ $0.timeouts.connack = .zero }, "timeout connack"),
        ({ $0.timeouts.attempt = .seconds(-1) }, "timeout attempt is -1.0 seconds"),
        ({ $0.timeouts.drain = .seconds(-1) }, "drain"), ({ $0.timeouts.close = .seconds(-1) }, "close"),
        ({ $0.tls?.serverName = "" }, "TLS"), ({ $0.tls?.trust = .file("") }, "TLS"),
        ({ $0.tls?.trust = .file("a\0b") }, "TLS"), ({ $0.tls?.identity = .files(certificate: "c", key: "") }, "TLS"),
    ]

    @Test(arguments: badValues)
    func `with a bad value is refused, and the message has it`(change: Change, text: String) throws {
        let error = try error(change)
        #expect(error.code == .invalidConfiguration)
        #expect(error.message.contains(text))
    }

    private static let badMessages: [(Change, MQTTError.Code)] = [
        ({ $0.will = MQTTWill(topic: "a/#", payload: "") }, MQTTError.Code.invalidTopic),
        ({ $0.will = MQTTWill(topic: "a", payload: [UInt8](repeating: 0, count: 65_536)) }, .payloadTooLarge),
        ({ $0.will = MQTTWill(topic: "a", payload: "", properties: .init(responseTopic: "+")) }, .invalidTopic),
        ({ $0.connect.userProperties = [.init("a\0", "")] }, .invalidProperty),
        ({ $0.connect.userProperties = [.init("", String(repeating: "v", count: 65_536))] }, .invalidProperty),
        (
            {
                $0.version = .v3_1_1
                $0.connect.userProperties = [.init("a", "b")]
            }, .unsupported
        ),
        (
            {
                $0.version = .v3_1_1
                $0.will = MQTTWill(topic: "a", payload: "", delayInterval: 1)
            }, .unsupported
        ),
    ]

    @Test(arguments: badMessages)
    func `with a bad will or property is refused`(change: Change, code: MQTTError.Code) throws {
        #expect(try error(change).code == code)
    }

    @Test func `an endpoint shows an IPv6 address in brackets`() {
        #expect(MQTTEndpoint(host: "broker", port: 1).description == "broker:1")
        #expect(MQTTEndpoint(host: "::1", port: 1).description == "[::1]:1")
    }

    @Test(arguments: [0, -1])
    func `a buffer of no capacity is refused`(capacity: Int) {
        let error = #expect(throws: MQTTError.self) {
            try MQTTBufferPolicy(capacity: capacity, whenFull: .dropOldest).validate()
        }
        #expect(error?.message.contains("\(capacity)") == true)
    }
}

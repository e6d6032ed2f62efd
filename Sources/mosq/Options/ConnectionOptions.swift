// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Mosquitto

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The flags of a connection, as `mosquitto_pub` and `mosquitto_sub` spell them.
///
/// mosquitto takes the next argument as the value, whatever it begins with; so do all options here.
struct ConnectionOptions: ParsableArguments {
    @Option(
        name: [.customShort("h"), .long], parsing: .unconditional, help: "The broker's host name or address.")
    var host = "localhost"

    @Option(
        name: [.customShort("p"), .long], parsing: .unconditional, help: "The port. Default: 1883, with --cafile 8883.")
    var port: Int?

    @Option(
        name: .customLong("unix"), parsing: .unconditional, help: "The path of a Unix socket, instead of host and port."
    )
    var unixSocket: String?

    @Option(
        name: [.customShort("i"), .long], parsing: .unconditional,
        help: "The client identifier. Default: mosq- and a random number.")
    var id: String?

    @Option(
        name: [.customShort("I"), .long], parsing: .unconditional,
        help: "A prefix; the client identifier is it and the process id.")
    var idPrefix: String?

    @Option(
        name: [.customShort("k"), .customLong("keepalive")], parsing: .unconditional,
        help: "The keep-alive in seconds, 5 to 65535.")
    var keepAlive = 60

    @Option(
        name: [.customShort("q"), .long], parsing: .unconditional, help: "The quality of service: 0, 1 or 2.")
    var qos = 0

    @Option(name: [.customShort("u"), .long], parsing: .unconditional, help: "The user name.")
    var username: String?

    @Option(name: [.customShort("P"), .customLong("pw")], parsing: .unconditional, help: "The password.")
    var password: String?

    @Option(
        name: .customLong("pw-hex"), parsing: .unconditional,
        help: ArgumentHelp("A -P that is not UTF-8.", visibility: .hidden))
    var passwordBytes: String?

    @Option(
        name: [.customShort("V"), .customLong("protocol-version")], parsing: .unconditional,
        help: "The protocol version: mqttv5, mqttv311 or mqttv31. Default: mqttv311, of rr and doctor mqttv5.")
    var version: String?

    @Option(
        name: .customShort("M"), parsing: .unconditional,
        help: "How many QoS 1 and 2 messages are in flight at most. Default: 20; with bench pub its window.")
    var maximumInFlight: Int?

    @Flag(name: .customLong("nodelay"), help: "Accepted for compatibility: Nagle's algorithm is always off.")
    var noDelay = false

    @Flag(name: [.customShort("d"), .long], help: "Print a line for each packet to standard output.")
    var debug = false

    @Flag(help: "Do not print error messages.")
    var quiet = false

    @OptionGroup(title: "Network")
    var network: NetworkOptions

    @OptionGroup(title: "WebSocket")
    var webSocket: WebSocketOptions

    @OptionGroup(title: "Session")
    var session: SessionOptions

    @OptionGroup(title: "Properties")
    var properties: PropertyOptions

    @OptionGroup(title: "Will")
    var will: WillOptions

    @OptionGroup(title: "TLS")
    var tls: TLSOptions

    @OptionGroup(title: "Retry")
    var retry: RetryOptions

    @OptionGroup(title: "Tokens")
    var token: TokenOptions

    @OptionGroup(visibility: .hidden)
    var refused: RefusedOptions

    /// Returns the configuration that the flags describe. Throws errors that tell the user what to change.
    func configuration(_ behavior: CommandBehavior) throws -> MQTTClientConfiguration {
        try refused.check()
        try properties.check()
        if let port, !(0...65_535).contains(port) { throw CommandFailure.usage("Invalid port given: \(port)") }
        if !(5...65_535).contains(keepAlive) {
            throw CommandFailure.usage("Invalid keepalive given, it must be between 5 and 65535 inclusive.")
        }
        if let maximumInFlight, maximumInFlight < 1 {
            throw CommandFailure.usage("Maximum inflight messages must be greater than 0.")
        }
        var configuration = MQTTClientConfiguration(
            host: host, port: port ?? tls.defaultPort, tls: try tls.configuration(port: port))
        if let path = unixSocket ?? (port == 0 ? host : nil) { configuration.endpoints = [.unixSocket(path)] }
        configuration.version = try protocolVersion()
        // As mosquitto's commands, which take messages of any size, tell the broker of no limit, and take no topic
        // aliases.
        configuration.receiving.maximumPacketSize = 268_435_460
        configuration.receiving.topicAliasMaximum = 0
        configuration.clientID = try clientID()
        configuration.keepAlive = .seconds(keepAlive)
        try session.apply(
            to: &configuration, hasStableID: id != nil, property: try properties.sessionExpiry())
        configuration.publishing.maximumInFlight = min(maximumInFlight ?? 20, 65_535)
        try network.apply(to: &configuration)
        if configuration.version == .v5_0 { try properties.apply(to: &configuration) }
        configuration.will = try will.will(configuration.version == .v5_0 ? properties : nil)
        let password =
            try passwordBytes.map { MQTTSecret(bytes: try ArgumentEncoding.bytes($0)) }
            ?? password.map { MQTTSecret($0) }
        if password != nil, username == nil, configuration.version != .v5_0 {
            // MQTT 3.1.1, section 3.1.2.9: no password without a user name.
            throw CommandFailure(message: "Problem setting username and/or password.")
        }
        try retry.apply(to: &configuration, behavior)
        try webSocket.apply(to: &configuration, port: port)
        try token.apply(to: &configuration, username: username, password: password)
        try tls.refusePlainMix(configuration)
        do { try configuration.validate() } catch { throw CommandFailure(message: "\(error)") }
        return configuration
    }

    var messageQoS: MQTTQoS { get throws { try Self.qos(qos, "Invalid QoS given: \(qos)") } }

    static func qos(_ number: Int, _ complaint: String) throws -> MQTTQoS {
        guard let raw = UInt8(exactly: number), let qos = MQTTQoS(rawValue: raw) else {
            throw CommandFailure.usage(complaint)
        }
        return qos
    }

    /// The properties of published messages. mosquitto's commands leave them out with MQTT 3.1.1.
    func publishProperties() throws -> MQTTPublishProperties {
        try protocolVersion() == .v5_0 ? try properties.publish() : .init()
    }

    /// Returns the DISCONNECT packet that ends the connection.
    ///
    /// - Parameter isEarly: whether the command ends before its work is done. The broker then publishes the will, which
    ///   only MQTT 5.0 can request.
    func farewell(isEarly: Bool) throws -> MQTTDisconnect {
        var disconnect = try properties.disconnect()
        guard try protocolVersion() == .v5_0 else { return MQTTDisconnect() }
        if isEarly { disconnect.reasonCode = .disconnectWithWillMessage }
        if disconnect.sessionExpiry == nil, try session.endsSession(property: properties.sessionExpiry()) {
            disconnect.sessionExpiry = .zero
        }
        return disconnect
    }

    private func clientID() throws -> String {
        switch (id, idPrefix) {
        case (_?, _?): throw CommandFailure.usage("-i and -I argument cannot be used together.")
        case (let id?, nil): return id
        case (nil, let prefix?): return "\(prefix)\(ProcessInfo.processInfo.processIdentifier)"
        case (nil, nil): return "mosq-" + String(UInt64.random(in: .min ... .max), radix: 36)
        }
    }

    func protocolVersion() throws -> MQTTVersion {
        switch version {
        case "mqttv5", "5": return .v5_0
        case "mqttv311", "311", nil: return .v3_1_1
        case "mqttv31", "31": return .v3_1
        default: throw CommandFailure.usage("Invalid protocol version argument given.")
        }
    }
}

extension ConnectionOptions: ReadableArguments {
    mutating func read(_ words: inout ArgumentReader) {
        host = words.text("-h", "--host") ?? "localhost"
        port = words.number("-p", "--port")
        unixSocket = words.text("--unix")
        id = words.text("-i", "--id")
        idPrefix = words.text("-I", "--id-prefix")
        keepAlive = words.number("-k", "--keepalive") ?? 60
        qos = words.number("-q", "--qos") ?? 0
        username = words.text("-u", "--username")
        password = words.text("-P", "--pw")
        passwordBytes = words.text("--pw-hex")
        version = words.text("-V", "--protocol-version")
        maximumInFlight = words.number("-M")
        noDelay = words.flag("--nodelay")
        debug = words.flag("-d", "--debug")
        quiet = words.flag("--quiet")
        network = words.group()
        webSocket = words.group()
        session = words.group()
        properties = words.group()
        will = words.group()
        tls = words.group()
        retry = words.group()
        token = words.group()
        refused = words.group()
    }
}

// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Mosquitto

/// The properties of MQTT 5.0 that `-D` gives to packets and to the will.
///
/// The words arrive one by one: ``ReferenceArguments`` has split them.
struct PropertyOptions: ParsableArguments {
    @Option(
        name: [.customShort("D"), .customLong("property")], parsing: .unconditionalSingleValue,
        help: ArgumentHelp(
            "A property of MQTT 5.0: -D COMMAND PROPERTY VALUE, or -D COMMAND user-property NAME VALUE. May be repeated.",
            valueName: "command property value"))
    var words: [String] = []

    /// Parses all properties.
    func parsed() throws -> [PropertyArgument] {
        var rest = words[...]
        var properties: [PropertyArgument] = []
        while !rest.isEmpty { properties.append(try PropertyArgument(popping: &rest)) }
        return properties
    }

    /// Returns the properties of one packet.
    private func properties(of packet: PropertyArgument.Packet) throws -> [PropertyArgument] {
        let properties = try parsed().filter { $0.packet == packet }
        let single = properties.map(\.name).filter { $0 != "user-property" }
        if Set(single).count < single.count {
            let name = packet == .will ? "Will" : packet.rawValue.uppercased()
            throw CommandFailure.usage(line: "Error in \(name) properties: Duplicate property in property list")
        }
        return properties
    }

    // MARK: CONNECT

    /// Sets the properties of CONNECT.
    func apply(to configuration: inout MQTTClientConfiguration) throws {
        let properties = try properties(of: .connect)
        var method: String?
        var data: [UInt8]?
        for property in properties {
            switch (property.name, property.value) {
            // SessionOptions sets the session expiry.
            case ("session-expiry-interval", _): break
            case ("receive-maximum", .number(let number)):
                if number == 0 { throw Self.breach("CONNECT") }
                configuration.receiving.receiveMaximum = UInt16(number)
            case ("maximum-packet-size", .number(let number)):
                if number == 0 { throw Self.breach("CONNECT") }
                configuration.receiving.maximumPacketSize = min(Int(number), configuration.receiving.maximumPacketSize)
            case ("request-response-information", .number(let number)):
                if number > 1 { throw Self.breach("CONNECT") }
                configuration.connect.requestsResponseInformation = number == 1
            case ("request-problem-information", .number(let number)):
                if number > 1 { throw Self.breach("CONNECT") }
                configuration.connect.requestsProblemInformation = number == 1
            case ("user-property", .pair(let name, let value)):
                configuration.connect.userProperties.append(MQTTUserProperty(name, value))
            case ("authentication-method", .text(let text)): method = text
            case ("authentication-data", .text(let text)): data = Array(text.utf8)
            case ("topic-alias-maximum", .number(let number)):
                configuration.receiving.topicAliasMaximum = UInt16(number)
            default: throw Self.refusal(property, "it says nothing here.")
            }
        }
        if case .number(let number) = try value("topic-alias", of: .publish) {
            configuration.publishing.topicAlias = UInt16(number)
        }
        if let method {
            configuration.authenticator = FixedAuthenticator(method: method, data: data)
        } else if data != nil {
            throw CommandFailure.usage("-D connect authentication-data needs -D connect authentication-method.")
        }
    }

    /// The Session Expiry Interval of CONNECT.
    func sessionExpiry() throws -> UInt32? {
        guard case .number(let seconds) = try value("session-expiry-interval", of: .connect) else { return nil }
        return seconds
    }

    private func value(_ name: String, of packet: PropertyArgument.Packet) throws -> PropertyArgument.Value? {
        try properties(of: packet).first { $0.name == name }?.value
    }

    // MARK: Messages

    /// Returns the properties of a published message.
    func publish() throws -> MQTTPublishProperties { try message(try properties(of: .publish)) }

    /// Sets the properties of the will (`-D will`).
    func apply(to will: inout MQTTWill) throws {
        let properties = try properties(of: .will)
        if case .number(let seconds) = try value("will-delay-interval", of: .will) { will.delayInterval = seconds }
        will.properties = try message(properties.filter { $0.name != "will-delay-interval" })
    }

    private func message(_ properties: [PropertyArgument]) throws -> MQTTPublishProperties {
        var result = MQTTPublishProperties()
        for property in properties {
            switch (property.name, property.value) {
            case ("payload-format-indicator", .number(let number)):
                if number > 1 { throw Self.breach(property.packet.rawValue.uppercased()) }
                result.payloadIsUTF8 = number == 1
            case ("message-expiry-interval", .number(let number)): result.messageExpiryInterval = number
            case ("content-type", .text(let text)): result.contentType = text
            case ("response-topic", .text(let text)): result.responseTopic = text
            case ("correlation-data", .text(let text)): result.correlationData = Array(text.utf8)
            case ("user-property", .pair(let name, let value)):
                result.userProperties.append(MQTTUserProperty(name, value))
            // `apply(to:)` of the configuration has it.
            case ("topic-alias", .number(let number)) where property.packet == .publish:
                if number == 0 { throw Self.breach("PUBLISH") }
            default: throw Self.refusal(property, "it says nothing here.")
            }
        }
        return result
    }

    // MARK: The rest

    /// The user properties of SUBSCRIBE.
    func subscribe() throws -> [MQTTUserProperty] {
        try properties(of: .subscribe).compactMap { property in
            guard case .pair(let name, let value) = property.value else { return nil }
            return MQTTUserProperty(name, value)
        }
    }

    /// The Subscription Identifier of SUBSCRIBE, which %S prints for each message.
    func subscriptionIdentifier() throws -> UInt32? {
        guard case .number(let number) = try value("subscription-identifier", of: .subscribe) else { return nil }
        // MQTT 5.0, section 3.8.2.1.2.
        if !(1...268_435_455).contains(number) { throw Self.breach("SUBSCRIBE") }
        return number
    }

    /// Returns the DISCONNECT packet with the properties that were given for it.
    func disconnect() throws -> MQTTDisconnect {
        var disconnect = MQTTDisconnect()
        for property in try properties(of: .disconnect) {
            switch (property.name, property.value) {
            case ("session-expiry-interval", .number(let seconds)): disconnect.sessionExpiry = .seconds(seconds)
            case ("reason-string", .text(let text)): disconnect.reasonString = text
            case ("user-property", .pair(let name, let value)):
                disconnect.userProperties.append(MQTTUserProperty(name, value))
            default: throw Self.refusal(property, "only a broker sends it.")
            }
        }
        return disconnect
    }

    /// Rejects properties that cannot be honoured before the first packet, even those of packets that the command may
    /// never send.
    func check() throws {
        var configuration = MQTTClientConfiguration(host: "localhost", tls: nil)
        try apply(to: &configuration)
        var will = MQTTWill(topic: "will", payload: "")
        try apply(to: &will)
        _ = try (publish(), subscribe(), subscriptionIdentifier(), disconnect())
        if let property = try properties(of: .unsubscribe).first {
            throw Self.refusal(property, "the client's UNSUBSCRIBE has no properties.")
        }
    }

    /// `mosquitto_property_check_all`: a value that the specification does not allow.
    private static func breach(_ packet: String) -> CommandFailure {
        .usage(
            line: "Error in \(packet) properties: A network protocol error occurred when communicating with the broker."
        )
    }

    private static func refusal(_ property: PropertyArgument, _ reason: String) -> CommandFailure {
        .usage("-D \(property.packet.rawValue) \(property.name) is not supported; \(reason)")
    }
}

/// Sends Authentication Method and Data as given, and answers no challenge.
private struct FixedAuthenticator: MQTTAuthenticator {
    let method: String
    let data: [UInt8]?

    func begin(with credentials: MQTTCredentials) async throws -> [UInt8]? { data }

    func connectCredentials(_ credentials: MQTTCredentials) -> MQTTCredentials { credentials }
}

extension PropertyOptions: ReadableArguments {
    mutating func read(_ words: inout ArgumentReader) {
        self.words = words.texts("-D", "--property")
    }
}

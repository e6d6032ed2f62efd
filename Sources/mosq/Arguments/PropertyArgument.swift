// SPDX-License-Identifier: Apache-2.0

/// One `-D command property value`, or `-D command user-property name value`, as `cfg_parse_property` of mosquitto's
/// `client_props.c` (2.0.11) parses it.
struct PropertyArgument {
    /// A packet that accepts properties, or the will.
    enum Packet: String {
        case connect, publish, subscribe, unsubscribe, disconnect, will
    }

    enum Value: Equatable {
        case number(UInt32)
        case text(String)
        case pair(String, String)
    }

    let packet: Packet
    let name: String
    let value: Value
    /// The words as given.
    let words: [String]

    /// Parses three or four words.
    init(popping rest: inout ArraySlice<String>) throws {
        guard rest.count >= 3 else { throw Self.tooFew }
        let given = Array(rest.prefix(4))
        let (command, name) = (given[0].lowercased(), given[1].lowercased())
        guard let allowed = Self.commands.contains(command) ? Self.properties[name] : nil else {
            throw CommandFailure.usage(
                Self.commands.contains(command)
                    ? "Invalid property name given in --property argument."
                    : "Invalid command given in --property argument.")
        }
        guard allowed.commands?.contains(command) ?? true else {
            throw CommandFailure.usage("\(given[1]) property not allowed for \(given[0]) in --property argument.")
        }
        let count = name == "user-property" ? 4 : 3
        guard given.count >= count else { throw Self.tooFew }
        guard let packet = Packet(rawValue: command), Self.isSupported(name, packet) else {
            throw CommandFailure.usage("\(given[1]) property not supported for \(given[0]) in --property argument.")
        }
        self.packet = packet
        self.name = name
        value = try Self.value(given, allowed.type)
        words = Array(given.prefix(count))
        rest = rest.dropFirst(count)
    }

    private static var tooFew: CommandFailure {
        .usage("--property argument given but not enough arguments specified.")
    }

    private static func isSupported(_ name: String, _ packet: Packet) -> Bool {
        switch packet {
        case .publish: name != "subscription-identifier"
        case .subscribe: name == "subscription-identifier" || name == "user-property"
        case .unsubscribe: name == "user-property"
        default: true
        }
    }

    private static func value(_ words: [String], _ type: ValueType) throws -> Value {
        let (name, text) = (words[1], words[2])
        switch type {
        case .number(let limit):
            // mosquitto reads a word as 0.
            guard let number = Int(text.split(separator: " ").joined()) else {
                throw CommandFailure.usage("Property value (\(text)) is not a number for property \(name).")
            }
            guard (0...Int(limit)).contains(number) else {
                throw CommandFailure.usage("Property value (\(number)) out of range for property \(name).")
            }
            return .number(UInt32(number))
        case .text:
            if text.utf8.count > 65_535 {
                throw CommandFailure.usage("Property value too long for property \(name).")
            }
            return .text(text)
        case .pair: return .pair(text, words[3])
        }
    }

    private enum ValueType {
        case number(UInt32)
        case text, pair
    }

    private static let byte = ValueType.number(UInt32(UInt8.max))
    private static let int16 = ValueType.number(UInt32(UInt16.max))
    private static let int32 = ValueType.number(.max)

    private static let commands: Set<String> = [
        "connect", "connack", "publish", "puback", "pubrec", "pubrel", "pubcomp", "subscribe", "suback", "unsubscribe",
        "unsuback", "disconnect", "auth", "will",
    ]

    private static let message: Set<String> = ["publish", "will"]
    private static let onlyConnack: Set<String> = ["connack"]
    private static let connection: Set<String> = ["connect", "connack"]

    /// The packets that accept each property, as in `mosquitto_property_check_command`; `nil` for all packets.
    private static let properties: [String: (commands: Set<String>?, type: ValueType)] = [
        "payload-format-indicator": (message, byte),
        "message-expiry-interval": (message, int32),
        "content-type": (message, .text),
        "response-topic": (message, .text),
        "correlation-data": (message, .text),
        "subscription-identifier": (["publish", "subscribe"], int32),
        "session-expiry-interval": (["connect", "connack", "disconnect"], int32),
        "assigned-client-identifier": (onlyConnack, .text),
        "server-keep-alive": (onlyConnack, int16),
        "authentication-method": (["connect", "connack", "auth"], .text),
        "authentication-data": (["connect", "connack", "auth"], .text),
        "request-problem-information": (["connect"], byte),
        "will-delay-interval": (["will"], int32),
        "request-response-information": (["connect"], byte),
        "response-information": (onlyConnack, .text),
        "server-reference": (["connack", "disconnect"], .text),
        "reason-string": (commands.subtracting(["connect", "publish", "subscribe", "unsubscribe"]), .text),
        "receive-maximum": (connection, int16),
        "topic-alias-maximum": (connection, int16),
        "topic-alias": (["publish"], int16),
        "maximum-qos": (onlyConnack, byte),
        "retain-available": (onlyConnack, byte),
        "user-property": (nil, .pair),
        "maximum-packet-size": (connection, int32),
        "wildcard-subscription-available": (onlyConnack, byte),
        "subscription-identifier-available": (onlyConnack, byte),
        "shared-subscription-available": (onlyConnack, byte),
    ]
}

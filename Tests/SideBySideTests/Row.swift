// SPDX-License-Identifier: Apache-2.0

import MosquittoTesting
import Testing

/// One invocation of mosquitto's command and of `mosq` with the same arguments, and the broker to which both connect.
struct Row: Sendable {
    enum Command: String, Sendable {
        case pub, sub, rr
    }

    /// The peer that the client connects to.
    enum Scene: Sendable {
        /// A broker in this process that records all packets, and sends those of the row.
        case recorded(Script = .init())
        /// The same broker, on a Unix socket.
        case unixSocket
        /// A mosquitto, with the retained messages of ``SharedMosquitto``.
        case mosquitto
        /// No peer: a port without a listener.
        case nobody
    }

    /// The behavior of the recording broker.
    struct Script: Sendable {
        var behavior: ConnectionScript = .serve
        var tls = false
        var clientCertificates = false
        var user: (name: String, password: String)?
        /// The bytes that the broker sends, each after the client has sent a packet of this type.
        var sends: [(after: ReceivedPacketType, bytes: [UInt8])] = []
        /// Retained messages, by topic.
        var retained: [(topic: String, payload: String)] = []
        /// MQTT 5.0, in wire format without their length.
        var connackProperties: [UInt8] = []
    }

    /// A result that varies from run to run, and is therefore normalized before the comparison.
    enum Variation: Sendable {
        /// Digits of standard output: times.
        case digits
        /// The client identifier, which is random or contains a process identifier.
        case clientID
        /// The order of packets: an acknowledgement may be written sooner or later.
        case order
        /// Packets at the end: mosquitto's commands leave acknowledgements and DISCONNECT unsent if a callback ends the
        /// command, as after `-C`, and the broker was too fast.
        case farewell
        /// Bytes of standard output that are not UTF-8: `mosq` replaces them in JSON.
        case encoding
        /// The status of a failure. After a failed TLS handshake, mosquitto's commands exit with 1 or 8, depending on
        /// timing.
        case failureStatus
    }

    let name: String
    let command: Command
    var arguments: [String]
    var input: [UInt8] = []
    var scene: Scene = .recorded()
    var varies: Set<Variation> = []
    /// Files in the row's folder, for which `{folder}` in the arguments stands, including the configuration file.
    var files: [String: String] = [:]
    /// True if `-h`, `-p` and `-i` precede the arguments.
    var hasConnection = true
    /// The text that the error message must contain, for a row with an error in its arguments.
    var complaint: String?
}

extension Row {
    /// The variations of the row, with those of its format, and of the version of mosquitto's commands.
    func variations(_ version: ReferenceVersion) -> Set<Variation> {
        var all = varies
        if arguments.contains(where: { $0.contains("%j") }) { all.insert(.encoding) }
        // mosquitto_pub 2.1 exits before it has sent DISCONNECT, if the last acknowledgement ends it.
        if command == .pub, version >= .v2_1 { all.insert(.farewell) }
        return all
    }
}

extension Row: CustomTestStringConvertible {
    var testDescription: String { name }
}

/// Makes the rows of one command shorter to write.
func row(
    _ command: Row.Command, _ name: String, _ arguments: String..., input: String = "", scene: Row.Scene = .recorded(),
    varies: Set<Row.Variation> = [], files: [String: String] = [:], hasConnection: Bool = true
) -> Row {
    Row(
        name: "\(command.rawValue): \(name)", command: command, arguments: arguments, input: Array(input.utf8),
        scene: scene, varies: varies, files: files, hasConnection: hasConnection)
}

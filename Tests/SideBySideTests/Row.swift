import MosquittoTesting
import Testing

/// One invocation, made of mosquitto's command and of `mosq` with the same arguments, and what it meets.
struct Row: Sendable {
    enum Command: String, Sendable {
        case pub, sub, rr
    }

    /// What the client connects to.
    enum Scene: Sendable {
        /// A broker in this process that records all packets, and sends what the row says.
        case recorded(Script = .init())
        /// The same, at a Unix socket.
        case unixSocket
        /// A mosquitto, with the retained messages of ``SharedMosquitto``.
        case mosquitto
        /// Nothing: a port that nobody listens on.
        case nobody
    }

    /// What the recording broker does.
    struct Script: Sendable {
        var behavior: ConnectionScript = .serve
        var tls = false
        var clientCertificates = false
        var user: (name: String, password: String)?
        /// What it sends, and after which packet of the client.
        var sends: [(after: ReceivedPacketType, bytes: [UInt8])] = []
        /// Retained messages, by topic.
        var retained: [(topic: String, payload: String)] = []
        /// MQTT 5.0, in wire format without their length.
        var connackProperties: [UInt8] = []
    }

    /// What of the two runs is not the same by nature, and therefore made equal before it is compared.
    enum Variation: Sendable {
        /// Digits of standard output: times.
        case digits
        /// The client identifier, which is chosen at random or has a process identifier.
        case clientID
        /// The order of packets: when an acknowledgement is written is a matter of time.
        case order
        /// What comes after the end: mosquitto's commands leave acknowledgements and DISCONNECT unsent where the end
        /// comes from a callback, as after `-C`, if the broker was too fast.
        case farewell
        /// The status of a failure. That of a failed TLS handshake is 1 or 8 with mosquitto's commands, as time will
        /// have it.
        case failureStatus
    }

    let name: String
    let command: Command
    var arguments: [String]
    var input: [UInt8] = []
    var scene: Scene = .recorded()
    var varies: Set<Variation> = []
    /// Files of the row's folder, which `{folder}` in the arguments stands for; also the one of the configuration.
    var files: [String: String] = [:]
    /// Whether `-h`, `-p` and `-i` are given before the arguments.
    var hasConnection = true
    /// For a mistake in the arguments: what the complaint names.
    var complaint: String?
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

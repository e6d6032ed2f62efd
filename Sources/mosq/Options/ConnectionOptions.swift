import ArgumentParser
import FoundationEssentials
import Mosquitto

/// The flags of a connection, as `mosquitto_pub` and `mosquitto_sub` spell them.
struct ConnectionOptions: ParsableArguments {
    @Option(name: [.customShort("h")], help: "The broker's host name or address.")
    var host = "localhost"

    @Option(name: [.customShort("p")], help: "The port. Default: 1883, with TLS 8883.")
    var port: Int?

    @Option(name: [.customShort("i")], help: "The client identifier. Default: mosq and a random number.")
    var id: String?

    @Option(name: [.customShort("I")], help: "A prefix; the client identifier is it and the process id.")
    var idPrefix: String?

    @Option(name: [.customShort("k")], help: "The keep-alive in seconds: 0, or 5 to 65535.")
    var keepAlive = 60

    @Option(name: [.customShort("q")], help: "The quality of service: 0, 1 or 2.")
    var qos = 0

    @Option(name: [.customShort("u")], parsing: .unconditional, help: "The user name.")
    var username: String?

    @Option(name: [.customShort("P")], parsing: .unconditional, help: "The password.")
    var password: String?

    @Option(name: [.customShort("V")], help: "The protocol version: mqttv5 or mqttv311.")
    var version = "mqttv311"

    @Flag(name: [.customShort("c")], help: "Keep the session at the broker (needs -i).")
    var disableCleanSession = false

    @Option(name: [.customShort("x")], help: "The session expiry interval in seconds, MQTT 5.0 only.")
    var sessionExpiry: Int64?

    @Option(name: [.customShort("M")], help: "How many QoS 1 and 2 messages are in flight at most.")
    var maximumInFlight = 20

    @Flag(name: .long, help: "Do not print error messages.")
    var quiet = false

    @Flag(name: .customLong("nodelay"), help: "Accepted for compatibility: Nagle's algorithm is always off.")
    var noDelay = false

    @Option(name: .customLong("will-topic"), help: "The topic of the will.")
    var willTopic: String?

    @Option(name: .customLong("will-payload"), parsing: .unconditional, help: "The payload of the will.")
    var willPayload: String?

    @Option(name: .customLong("will-qos"), help: "The quality of service of the will.")
    var willQoS = 0

    @Flag(name: .customLong("will-retain"), help: "Retain the will.")
    var willRetain = false

    @Option(name: .customLong("cafile"), help: "A PEM file with the certificate authorities to trust. Turns TLS on.")
    var cafile: String?

    @Option(name: .customLong("cert"), help: "The client certificate, PEM.")
    var certificate: String?

    @Option(name: .customLong("key"), help: "The client certificate's private key, PEM.")
    var key: String?

    @Flag(name: .customLong("tls-use-os-certs"), help: "Trust the system's certificate authorities. Turns TLS on.")
    var useSystemTrust = false

    @Option(name: .customLong("tls-version"), help: "tlsv1.2, the minimum and the default.")
    var tlsVersion: String?

    @OptionGroup(title: "Retry and credentials")
    var retry: RetryOptions

    /// The configuration that the flags describe. Throws what a person can act on.
    func configuration(program: String) throws -> MQTTClientConfiguration {
        var configuration = MQTTClientConfiguration(host: host, port: port, tls: try tls())
        configuration.version = try protocolVersion()
        configuration.clientID =
            id ?? idPrefix.map { "\($0)\(ProcessInfo.processInfo.processIdentifier)" } ?? configuration.clientID
        configuration.keepAlive = .seconds(keepAlive)
        configuration.session = try session()
        configuration.maximumInFlight = maximumInFlight == 0 ? 65_535 : maximumInFlight
        if let willTopic {
            configuration.will = MQTTWill(
                topic: MQTTTopic(willTopic), payload: willPayload ?? "", qos: try Self.qos(willQoS), retain: willRetain)
        } else if willPayload != nil || willRetain {
            throw CommandFailure(message: "Error: Will payload given, but no will topic given.")
        }
        try retry.apply(to: &configuration, username: username, password: password)
        do { try configuration.validate() } catch { throw CommandFailure(message: "Error: \(error)") }
        return configuration
    }

    var messageQoS: MQTTQoS { get throws { try Self.qos(qos) } }

    private static func qos(_ number: Int) throws -> MQTTQoS {
        guard let raw = UInt8(exactly: number), let qos = MQTTQoS(rawValue: raw) else {
            throw CommandFailure(message: "Error: Invalid QoS given: \(number)")
        }
        return qos
    }

    private func tls() throws -> TLSConfiguration? {
        if let tlsVersion, tlsVersion != "tlsv1.2" {
            throw CommandFailure(
                message:
                    "Error: --tls-version \(tlsVersion) is not supported; TLS 1.2 is the minimum, 1.3 is preferred.")
        }
        if (certificate == nil) != (key == nil) {
            throw CommandFailure(message: "Error: Both certfile and keyfile must be provided if one of them is set.")
        }
        guard cafile != nil || certificate != nil || useSystemTrust else { return nil }
        var tls = TLSConfiguration(trust: cafile.map { .file($0) } ?? .system)
        if let certificate, let key { tls.identity = .files(certificate: certificate, key: key) }
        return tls
    }

    private func protocolVersion() throws -> MQTTVersion {
        switch version {
        case "mqttv5", "5": return .v5_0
        case "mqttv311", "311": return .v3_1_1
        case "mqttv31", "31": throw CommandFailure(message: "Error: MQTT 3.1 is not supported; use mqttv311 or mqttv5.")
        default: throw CommandFailure(message: "Error: Invalid protocol version argument given: \(version)")
        }
    }

    private func session() throws -> MQTTSession {
        guard disableCleanSession || sessionExpiry != nil else { return .clean }
        if disableCleanSession, id == nil {
            throw CommandFailure(message: "Error: You must provide a client id if you are using the -c option.")
        }
        let expiry = sessionExpiry ?? -1
        if expiry == 0 { return .clean }
        guard (-1...4_294_967_295).contains(expiry) else {
            throw CommandFailure(message: "Error: session-expiry-interval must be -1 to 4294967295, not \(expiry).")
        }
        return .persistent(expiry: .seconds(expiry == -1 ? 4_294_967_295 : expiry))
    }
}

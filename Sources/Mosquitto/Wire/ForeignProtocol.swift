// SPDX-License-Identifier: Apache-2.0

/// A protocol other than MQTT that a server speaks, recognized by the server's first bytes.
enum ForeignProtocol: String, CaseIterable {
    case http = "HTTP"
    case ssh = "SSH"
    case mail = "SMTP or FTP"
    case pop = "POP3"
    case imap = "IMAP"
    case redis = "Redis"
    case amqp = "AMQP"
    case nats = "NATS"
    case vnc = "VNC"

    /// - Parameter bytes: the first bytes of the server, at least as many as the greeting has.
    init?(_ bytes: some Collection<UInt8>) {
        guard let known = Self.allCases.first(where: { $0.greetings.contains { bytes.starts(with: $0.utf8) } }) else {
            return nil
        }
        self = known
    }

    private var greetings: [String] {
        switch self {
        case .http: ["HTTP/", "<html", "<HTML", "<!DOCTYPE", "<!doctype"]
        case .ssh: ["SSH-"]
        case .mail: ["220 ", "220-", "421 ", "500 ", "554 "]
        case .pop: ["+OK"]
        case .imap: ["* OK", "* BAD"]
        case .redis: ["-ERR", "-NOAUTH", "-DENIED"]
        case .amqp: ["AMQP"]
        case .nats: ["INFO {"]
        case .vnc: ["RFB "]
        }
    }

    /// The advice for a user who wanted MQTT.
    var remedy: String {
        let usual = "check the port: 1883 is usual for MQTT, and 8883 for MQTT over TLS"
        return self == .http ? usual + "; a broker's port for WebSockets speaks HTTP too" : usual
    }
}

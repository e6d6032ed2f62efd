// SPDX-License-Identifier: Apache-2.0

import Mosquitto

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

extension Diagnosis {
    /// Diagnoses a failure after the transport was ready: CONNECT was sent, or could be, without a connection as the
    /// result.
    static func connack(_ error: MQTTError, _ token: TokenFacts?, isTLS: Bool, now: Date) -> Diagnosis {
        if let code = error.reasonCode { return refusal(code, error, token, now: now) }
        switch error.code {
        case .timeout:
            return Diagnosis(
                .noAnswer, "The broker is connected to, and does not answer CONNECT.",
                likely: [
                    "a broker that hangs, or waits for its own authentication service",
                    isTLS ? nil : "a port that wants TLS", "another program's port",
                ].compactMap { $0 },
                remedy: "Read the broker's log, and check the port.")
        case .closed:
            return Diagnosis(
                .closed, "The broker closed the connection without an answer to CONNECT.",
                likely: [
                    isTLS ? nil : "a port that wants TLS",
                    "a broker that refuses without saying so (client identifier, version)",
                    "a broker that shuts down or has no room",
                ].compactMap { $0 },
                remedy: "Read the broker's log; try -V \(isTLS ? "mqttv311 or mqttv5" : "with the other version").")
        case .protocolViolation:
            return Diagnosis(
                .notMQTT, foreign(error) ?? "What answers does not speak MQTT: \(error.message).",
                likely: ["another program's port, such as a web server's", "the broker's port for WebSockets"],
                remedy: "Check that -p is the broker's port for MQTT over TCP.")
        default:
            return Diagnosis(.system, sentence(error.message), remedy: "Correct what the message names.")
        }
    }

    /// Diagnoses a failed upgrade to a WebSocket.
    static func upgrade(_ error: MQTTError, isTLS: Bool) -> Diagnosis {
        let said = error.webSocket?.body.map { ["the server says: \($0.prefix(200))"] } ?? []
        let summary = sentence(String(error.message.prefix { $0 != ";" }))
        let port = "Check host, -p and --ws-path\(isTLS ? "" : ", and whether the port wants TLS")."
        guard let status = error.httpStatus else {
            return Diagnosis(
                error.code == .closed ? .closed : error.code == .timeout ? .noAnswer : .upgradeRefused, summary,
                likely: ["a port for MQTT without WebSockets", isTLS ? nil : "a port that wants TLS"].compactMap { $0 },
                remedy: port)
        }
        let (likely, remedy): (String, String) =
            switch status {
            case 401, 403:
                (
                    "a token or a signature that is wrong or has expired",
                    "Check the headers and the query of the request."
                )
            case 407: ("a proxy on the way that demands a password", "Give the proxy with --proxy.")
            case 200..<300, 511: ("a captive portal, or a web server", "Log in to the network. " + port)
            case 300..<400:
                ("a server that has moved", "Connect to the server that it names, or follow it with --redirect.")
            case 400..<500, 501: ("a wrong path, or a port without WebSockets", port)
            default: ("a broker that starts, stops or is overloaded", "Try again later.")
            }
        return Diagnosis(.upgradeRefused, summary, likely: said + [likely], remedy: remedy)
    }

    private static func refusal(
        _ code: MQTTReasonCode, _ error: MQTTError, _ token: TokenFacts?, now: Date
    ) -> Diagnosis {
        let said = error.reasonString.map { ["the broker says: \($0)"] } ?? []
        let refused = "The broker is up and refuses: \(code)."
        switch code {
        case .notAuthorized, .badUserNameOrPassword: return unauthorized(code, error, token)
        case .unsupportedProtocolVersion:
            return Diagnosis(
                .protocolVersion, refused, likely: said + ["a broker for one version of MQTT only"],
                remedy: "Try the other version with -V mqttv311 or -V mqttv5.")
        case .clientIdentifierNotValid:
            return Diagnosis(
                .clientIdentifier, refused, likely: said + ["a broker that knows its clients by their identifier"],
                remedy: "Give the identifier that the broker expects with -i.")
        case .serverUnavailable, .serverBusy, .serverShuttingDown:
            return Diagnosis(
                .brokerUnavailable, refused, likely: said + ["a broker that starts, stops or is overloaded"],
                remedy: "Try again later; with --retry the other commands do so by themselves.")
        case .banned:
            return Diagnosis(
                .banned, refused, likely: said + ["too many failed attempts before this one", "a ban by the operator"],
                remedy: "Ask the broker's operator to lift the ban, and stop what keeps trying.")
        case .quotaExceeded, .connectionRateExceeded:
            return Diagnosis(
                .quota, refused, likely: said + ["too many clients, or too many connections in a short time"],
                remedy: "Connect less often, or raise the broker's limit.")
        case .useAnotherServer, .serverMoved:
            let other = error.serverReference
            return Diagnosis(
                .otherServer, refused, likely: said + (other.map { ["it names \($0)"] } ?? []),
                remedy: other.map { "Connect to \($0), or follow such references with --redirect." }
                    ?? "Ask the broker's operator for the other server's name.")
        default:
            return Diagnosis(.brokerRefused, refused, likely: said, remedy: "Read the broker's log for the reason.")
        }
    }

    // MARK: Credentials

    private static func unauthorized(_ code: MQTTReasonCode, _ error: MQTTError, _ token: TokenFacts?) -> Diagnosis {
        let said = error.reasonString.map { ["the broker says: \($0)"] } ?? []
        let refused = "The broker does not accept the \(token?.kind == .jwt ? "token" : "credentials"): \(code)."
        guard let token, token.kind != .none || token.username != nil else {
            return Diagnosis(
                .credentialsMissing, "The broker wants credentials, and none were given: \(code).", likely: said,
                remedy: "Give -u and -P, or --token-file or another source of tokens.")
        }
        if token.kind != .jwt {
            return Diagnosis(
                .notAuthorized, refused,
                likely: said + (token.flaw.map { ["the password \($0)"] } ?? []) + [
                    "a wrong user name or password", "a user who may not use this client identifier",
                ],
                remedy: token.flaw == nil
                    ? "Check -u, -P and -i with the broker's operator." : "Correct the password first.")
        }
        // The token has already been examined: an error in its time claims is the likeliest cause.
        if let known = Self.token(token)?.diagnosis {
            return Diagnosis(known.cause, refused, likely: said + [known.summary] + known.likely, remedy: known.remedy)
        }
        let audience = token.claims["aud"].map {
            "the audience: the token is for \(text($0)), and the broker may expect another (aud)"
        }
        let namesAudience = error.reasonString?.lowercased().contains("aud") == true
        let likely = [
            audience ?? "the audience: the token has none (aud), and the broker may expect one",
            token.claims["iss"].map {
                "the issuer: the broker may not trust \(text($0)) (iss)"
                    + (token.keyID.map { ", or not have its key \($0) (kid)" } ?? "")
            } ?? "the signature: the broker may have another key\(token.keyID.map { " than \($0) (kid)" } ?? "")",
            subject(token),
            "the clock of the broker, if it differs from the one here",
        ].compactMap { $0 }
        return Diagnosis(
            namesAudience ? .wrongAudience : .notAuthorized, refused, likely: said + likely,
            remedy: namesAudience
                ? "Let the issuer make the token for the audience that the broker expects."
                : "Compare the claims with what the broker's configuration expects, and read its log.")
    }

    private static func subject(_ token: TokenFacts) -> String? {
        guard let subject = token.claims["sub"] else { return nil }
        guard let username = token.username else {
            return "the user name: none was given, and the broker may expect \(text(subject)) (sub)"
        }
        return username == text(subject)
            ? nil : "the user name: it is \(username), and the token is for \(text(subject)) (sub)"
    }

    static func text(_ claim: MQTTTokenClaim) -> String {
        switch claim {
        case .null: "null"
        case .bool(let value): "\(value)"
        case .integer(let value): "\(value)"
        case .number(let value): "\(value)"
        case .string(let value): value
        case .array(let values): values.map(text).joined(separator: ", ")
        case .object(let members):
            "{" + members.sorted { $0.key < $1.key }.map { "\($0.key): \(text($0.value))" }.joined(separator: ", ")
                + "}"
        }
    }

    // MARK: The message to oneself

    static func loopBack(_ error: MQTTError, topic: String) -> Diagnosis {
        switch error.code {
        case .operationRefused:
            Diagnosis(
                .denied, sentence(error.message), likely: ["an access control list that does not have this topic"],
                remedy: "Give a topic that this client may publish and subscribe to with --topic.")
        default:
            Diagnosis(
                .connectionLost, "The connection ended: \(error.message).",
                likely: ["a broker that ends the connection of who uses a topic that is not allowed (AWS IoT does)"],
                remedy:
                    "Give a topic that this client may publish and subscribe to with --topic; read the broker's log.")
        }
    }

    static func noEcho(topic: String, limit: Duration) -> Diagnosis {
        Diagnosis(
            .noEcho, "The message to \(topic) did not come back within \(TimeText.length(limit.inSeconds)).",
            likely: [
                "an access control list that drops it silently, as MQTT 3.1.1 leaves no other way",
                "a broker that does not deliver to the sender",
            ],
            remedy: "Give a topic that this client may publish and subscribe to with --topic, or try -V mqttv5.")
    }
}

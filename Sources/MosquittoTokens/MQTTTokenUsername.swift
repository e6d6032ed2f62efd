// SPDX-License-Identifier: Apache-2.0

import Mosquitto

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The user name that goes with a token. Brokers differ: RabbitMQ ignores it, EMQX and ejabberd compare it with a
/// claim.
public enum MQTTTokenUsername: Sendable, Hashable, ExpressibleByStringLiteral {
    /// None with MQTT 5.0, an empty one with MQTT 3.1.1.
    case none
    /// Always this one.
    case fixed(String)
    /// The text or number of this claim of the token, such as "sub".
    case claim(String)

    public init(stringLiteral value: String) { self = .fixed(value) }

    /// Returns the credentials of a token. Throws `MQTTCredentialError` if the token cannot be sent or lacks the
    /// claim.
    func credentials(_ token: String, expiresAt: Date? = nil) throws(MQTTCredentialError) -> MQTTCredentials {
        try Self.check(token)
        let username: String? =
            switch self {
            case .none: nil
            case .fixed(let name): name
            case .claim(let name): try Self.claim(name, of: token)
            }
        return MQTTCredentials(username: username, password: MQTTSecret(token), expiresAt: expiresAt)
    }

    /// Throws if the token is empty, too long for CONNECT or has a control character. The message never contains the
    /// token.
    private static func check(_ token: String) throws(MQTTCredentialError) {
        if token.isEmpty { throw .transient("the token is empty") }
        if token.utf8.count > 65_535 {
            throw .transient("the token has \(token.utf8.count) bytes; at most 65535 are allowed")
        }
        if let flaw = TokenText.flaw(token.utf8) { throw .transient("the token \(flaw)") }
        if let byte = token.utf8.first(where: { $0 < 0x20 || $0 == 0x7F }) {
            throw .transient("the token has the control character \(byte)")
        }
    }

    private static func claim(_ name: String, of token: String) throws(MQTTCredentialError) -> String {
        let parts = token.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, let json = Data(base64URL: parts[1]),
            let claims = try? JSONDecoder().decode([String: MQTTTokenClaim].self, from: json)
        else { throw .transient("the token is no JWT, so that its claim \(name) cannot be the user name") }
        switch claims[name] {
        case .string(let text)?: return text
        case .integer(let number)?: return String(number)
        default: throw .transient("the token has no claim \(name) that can be the user name")
        }
    }
}

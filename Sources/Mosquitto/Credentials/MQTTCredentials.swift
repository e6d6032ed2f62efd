// SPDX-License-Identifier: Apache-2.0

#if canImport(FoundationEssentials)
public import FoundationEssentials
#else
public import Foundation
#endif

/// The user name and password of a CONNECT. Descriptions, mirrors and dumps never show the password.
public struct MQTTCredentials: Sendable, Hashable, CustomStringConvertible, CustomDebugStringConvertible,
    CustomReflectable
{
    /// The user name; `nil` sends none with MQTT 5.0, and an empty one with MQTT 3.1.1, which requires a user name.
    public var username: String?
    /// The password, such as a JWT: at most 65,535 bytes and no NUL (a limit of `mosquitto_username_pw_set`).
    public var password: MQTTSecret?
    /// The time at which the password expires. If `nil`, the claims of a JWT determine it.
    public var expiresAt: Date?

    public init(username: String? = nil, password: MQTTSecret? = nil, expiresAt: Date? = nil) {
        self.username = username
        self.password = password
        self.expiresAt = expiresAt
    }

    /// No user name and no password.
    public static let anonymous = MQTTCredentials()

    public var description: String {
        "MQTTCredentials(username: \(shownUsername.map(quoted) ?? "none"), password: \(password == nil ? "none" : "redacted"))"
    }
    public var debugDescription: String { description }
    public var customMirror: Mirror {
        Mirror(
            self,
            children: ["username": shownUsername as Any, "password": password as Any, "expiresAt": expiresAt as Any])
    }

    /// The user name without what follows a "?": a custom authorizer of AWS IoT receives its token there.
    private var shownUsername: String? {
        username.map { name in
            name.firstIndex(of: "?").map { name[...$0] + "…" } ?? name
        }
    }

    func validate() throws(MQTTError) {
        if let username {
            if username.utf8.count > 65_535 {
                throw MQTTError(
                    .credentials, "user name has \(username.utf8.count) bytes; at most 65535 are allowed",
                    phase: .credentials)
            }
            if let reason = unsendable(username) {
                throw MQTTError(.credentials, "user name \(quoted(username)) has \(reason)", phase: .credentials)
            }
        }
        if let password {
            if password.count > 65_535 {
                throw MQTTError(
                    .credentials, "password has \(password.count) bytes; at most 65535 are allowed",
                    phase: .credentials)
            }
            if password.withBytes({ $0.contains(0) }) {
                throw MQTTError(.credentials, "password has a NUL character", phase: .credentials)
            }
        }
    }
}

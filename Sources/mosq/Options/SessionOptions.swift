// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Mosquitto

/// Flags of the session that the broker keeps while the client is disconnected.
struct SessionOptions: ParsableArguments {
    @Flag(
        name: [.customShort("c"), .long], help: "Keep the session at the broker (needs -i).")
    var disableCleanSession = false

    @Option(
        name: .customShort("x"), parsing: .unconditional,
        help: "The session expiry interval in seconds, -1 or ∞ for none. Applies to MQTT 5.0 only.")
    var expiry: String?

    /// Sets the session by mosquitto's rules, which differ between the versions.
    ///
    /// - Parameter property: the expiry of `-D connect session-expiry-interval`.
    func apply(to configuration: inout MQTTClientConfiguration, hasStableID: Bool, property: UInt32? = nil) throws {
        let expiry = try expirySeconds()
        if configuration.version != .v5_0 {
            if disableCleanSession, !hasStableID {
                throw CommandFailure.usage("You must provide a client id if you are using the -c option.")
            }
            configuration.session = disableCleanSession ? .persistent(expiry: .seconds(UInt32.max)) : .clean
            return
        }
        let seconds = expiry ?? (disableCleanSession ? UInt32.max : 0)
        if seconds == .max, !hasStableID {
            throw CommandFailure.usage(
                "You must provide a client id if you are using an infinite session expiry interval.")
        }
        if property != nil, seconds > 0 {
            throw CommandFailure.usage(line: "Error in CONNECT properties: Duplicate property in property list")
        }
        let kept = property ?? seconds
        if disableCleanSession {
            // With an expiry of 0, DISCONNECT ends the session: see `endsSession`. A lost connection ends it a second
            // later.
            configuration.session = .persistent(expiry: .seconds(max(kept, 1)))
        } else {
            configuration.session = .clean
            configuration.connect.cleanSessionExpiry = .seconds(kept)
        }
    }

    /// Returns true if the session is resumed, but must end with the command.
    func endsSession(property: UInt32? = nil) throws -> Bool {
        let seconds = try property ?? expirySeconds()
        return disableCleanSession && seconds == 0
    }

    private func expirySeconds() throws -> UInt32? {
        guard let expiry else { return nil }
        if expiry == "∞" { return .max }
        guard let number = Self.number(expiry) else {
            throw CommandFailure.usage("session-expiry-interval not a number.")
        }
        if number == -1 { return .max }
        guard let seconds = UInt32(exactly: number) else {
            throw CommandFailure.usage("session-expiry-interval out of range.")
        }
        return seconds
    }

    /// Parses a number as `strtol` does with base 0, except that a leading zero does not make it octal.
    private static func number(_ text: String) -> Int? {
        text.hasPrefix("0x") ? Int(text.dropFirst(2), radix: 16) : Int(text)
    }
}

extension SessionOptions: ReadableArguments {
    mutating func read(_ words: inout ArgumentReader) {
        disableCleanSession = words.flag("-c", "--disable-clean-session")
        expiry = words.text("-x")
    }
}

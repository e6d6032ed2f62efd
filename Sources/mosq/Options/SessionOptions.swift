import ArgumentParser
import Mosquitto

/// What the broker keeps while the client is away.
struct SessionOptions: ParsableArguments {
    @Flag(
        name: [.customShort("c"), .long], help: "Keep the session at the broker (needs -i).")
    var disableCleanSession = false

    @Option(
        name: .customShort("x"), parsing: .unconditional,
        help: "The session expiry interval in seconds, -1 or ∞ for none. Applies to MQTT 5.0 only.")
    var expiry: String?

    /// mosquitto's rules, which differ between the versions.
    func session(_ version: MQTTVersion, hasStableID: Bool) throws -> MQTTSession {
        let expiry = try expirySeconds()
        if version == .v3_1_1 {
            if disableCleanSession, !hasStableID {
                throw CommandFailure(message: "You must provide a client id if you are using the -c option.")
            }
            return disableCleanSession ? .persistent(expiry: .seconds(UInt32.max)) : .clean
        }
        let seconds = expiry ?? (disableCleanSession ? UInt32.max : 0)
        if seconds == .max, !hasStableID {
            throw CommandFailure(
                message: "You must provide a client id if you are using an infinite session expiry interval.")
        }
        // A session of this library is kept and resumed, or neither.
        switch (disableCleanSession, seconds) {
        case (true, 0):
            throw CommandFailure(message: "-c with -x 0 is not supported; give an expiry, or leave -c out.")
        case (false, 1...):
            throw CommandFailure(message: "-x without -c is not supported; add -c, which resumes the session.")
        case (true, _): return .persistent(expiry: .seconds(seconds))
        case (false, _): return .clean
        }
    }

    private func expirySeconds() throws -> UInt32? {
        guard let expiry else { return nil }
        if expiry == "∞" { return .max }
        guard let number = Self.number(expiry) else {
            throw CommandFailure(message: "session-expiry-interval not a number.")
        }
        if number == -1 { return .max }
        guard let seconds = UInt32(exactly: number) else {
            throw CommandFailure(message: "session-expiry-interval out of range.")
        }
        return seconds
    }

    /// As `strtol` with base 0, except for octal numbers, which nobody means.
    private static func number(_ text: String) -> Int? {
        text.hasPrefix("0x") ? Int(text.dropFirst(2), radix: 16) : Int(text)
    }
}

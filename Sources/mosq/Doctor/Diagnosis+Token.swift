// SPDX-License-Identifier: Apache-2.0

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

extension Diagnosis {
    /// Diagnoses a token from its claims and the clock of this machine. Returns `nil` if a broker should accept the
    /// token.
    static func token(_ facts: TokenFacts) -> (diagnosis: Diagnosis, isFailure: Bool)? {
        guard let now = facts.receivedAt else { return nil }
        if let skew = facts.clockSkew, abs(skew) > clockTolerance {
            return (clock(aheadBy: -skew, evidence: "the issuer of the token says that it is another time"), false)
        }
        if let issuedAt = facts.issuedAt, issuedAt.timeIntervalSince(now) > clockTolerance {
            let evidence =
                "the token was issued at \(TimeText.moment(issuedAt)), and here it is \(TimeText.moment(now))"
            // A broker with a correct clock accepts the token anyway.
            return (clock(aheadBy: -issuedAt.timeIntervalSince(now), evidence: evidence), false)
        }
        if let expiresAt = facts.expiresAt, expiresAt <= now { return (expired(expiresAt, facts, now), true) }
        if let notBefore = facts.notBefore, notBefore.timeIntervalSince(now) > 1 {
            return (
                Diagnosis(
                    .tokenNotYetValid,
                    "The token becomes valid \(TimeText.relative(notBefore, to: now)), at \(TimeText.moment(notBefore)).",
                    likely: ["a token for later (nbf)", "a clock of this machine that is behind"],
                    remedy: "Wait until then, or let the issuer leave nbf at the time of issue."), true
            )
        }
        return nil
    }

    private static func expired(_ expiresAt: Date, _ facts: TokenFacts, _ now: Date) -> Diagnosis {
        let ago = TimeText.relative(expiresAt, to: now)
        // An issuer that has just been asked does not return an expired token.
        if facts.source == "oauth2", let issuedAt = facts.issuedAt {
            return clock(
                aheadBy: now.timeIntervalSince(issuedAt),
                evidence: "the issuer gave this token just now, and by the clock here it has expired \(ago)")
        }
        return Diagnosis(
            .tokenExpired, "The token has expired \(ago), at \(TimeText.moment(expiresAt)).",
            likely: ["who writes the token has stopped", "or the clock of this machine is ahead"],
            remedy: facts.source == "static"
                ? "Get a new token; --token-file, --token-command or --oauth2-token-url renew it."
                : "Let the source (\(facts.source ?? "unknown")) give a new token.")
    }

    /// - Parameter seconds: negative if the clock is behind.
    private static func clock(aheadBy seconds: Double, evidence: String) -> Diagnosis {
        let length = TimeText.length(seconds)
        return Diagnosis(
            .clock, "The clock of this machine is \(seconds < 0 ? "behind" : "ahead") by about \(length).",
            likely: [evidence, "or the clock of the issuer is \(seconds < 0 ? "ahead" : "behind")"],
            remedy: "Set the clock of this machine, and keep it with NTP (`timedatectl`).")
    }

    /// Clocks synchronized by NTP differ by less, and issuers and brokers tolerate about as much.
    private static let clockTolerance = 60.0

    static func credentials(_ message: String, source: String) -> Diagnosis {
        Diagnosis(
            .credentialsFailed, "There is no token: \(message).", likely: ["asked was the source \"\(source)\""],
            remedy: source == "oauth2"
                ? "Check the issuer's URL, the client's id and secret, and --oauth2-cafile."
                : "Correct what the message names.")
    }
}

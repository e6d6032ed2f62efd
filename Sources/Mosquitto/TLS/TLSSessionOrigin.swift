// SPDX-License-Identifier: Apache-2.0

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The full handshake in which a TLS session began. A resumption brings a new ticket, but verifies nothing anew: all
/// tickets that follow from a handshake are limited by that handshake.
struct TLSSessionOrigin {
    /// The time of the handshake. Does not jump with the wall clock.
    let time: ContinuousClock.Instant
    /// The end of the validity of the verified chain; `nil` if no chain was verified.
    let chainExpiry: Date?
    /// The time at which the revocation lists must be renewed; `nil` without lists.
    let listExpiry: Date?

    /// Returns true if a session may be resumed: without a full handshake for no longer than `age`, with certificates
    /// that are still valid, and lists that are still current.
    func permits(age: Duration, now: TLSClock.Reading) -> Bool {
        now.uptime >= time && now.uptime - time <= age
            && [chainExpiry, listExpiry].allSatisfy { $0.map { now.date <= $0 } ?? true }
    }
}

/// The clocks against which a TLS session is limited; replaced in tests.
struct TLSClock: Sendable {
    struct Reading {
        var uptime: ContinuousClock.Instant
        var date: Date
    }

    var read: @Sendable () -> Reading

    static let system = TLSClock { Reading(uptime: .now, date: Date.now) }
}

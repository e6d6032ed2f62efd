// SPDX-License-Identifier: Apache-2.0

import Mosquitto

/// A fault or a rotation that ends a connection of the compressed day, or that fails the attempts after it.
enum DayHappening: CaseIterable {
    case rotatesCredentials, rotatesIdentity
    case brokerCloses, brokerResets, handshakeIsCut
    case brokerIsForeign, brokerHasExpired
    case passwordIsRefused, certificateIsRefused, keyIsBroken

    /// The share in percent: half of a day's connections end as they should, in a rotation.
    private var weight: Int {
        switch self {
        case .rotatesCredentials: 35
        case .rotatesIdentity: 15
        case .brokerCloses, .brokerResets, .handshakeIsCut: 10
        default: 4
        }
    }

    private static let weighted = allCases.flatMap { Array(repeating: $0, count: $0.weight) }

    static func random(using generator: inout JitterGenerator) -> DayHappening {
        weighted[Int.random(in: 0..<weighted.count, using: &generator)]
    }
}

/// The counts of one client over the day.
struct DayTally {
    var attempts = 0
    var connections = 0
    var resumed = 0
    /// By phase and code.
    var failures: [String: Int] = [:]
    var happenings: [DayHappening: Int] = [:]
    /// Rotations that were not finished, because the broker ended the connection meanwhile.
    var overtakenRotations = 0
    var published = 0
    var received = 0
    /// Number of times that the files of the client certificate were replaced.
    var certificates = 0
    /// Errors found in an OpenSSL queue while its thread was idle.
    var leftBehind: [String: Int] = [:]

    /// Attempts and connections that failed.
    private(set) var failed = 0

    mutating func note(_ error: MQTTError) {
        failed += 1
        failures["\(error.phase?.rawValue ?? "–") \(error.code)", default: 0] += 1
    }

    static func + (one: DayTally, other: DayTally) -> DayTally {
        var sum = one
        sum.attempts += other.attempts
        sum.connections += other.connections
        sum.resumed += other.resumed
        sum.failures.merge(other.failures, uniquingKeysWith: +)
        sum.happenings.merge(other.happenings, uniquingKeysWith: +)
        sum.overtakenRotations += other.overtakenRotations
        sum.published += other.published
        sum.received += other.received
        sum.certificates += other.certificates
        sum.leftBehind.merge(other.leftBehind, uniquingKeysWith: +)
        sum.failed += other.failed
        return sum
    }
}

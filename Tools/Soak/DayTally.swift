import Mosquitto

/// What happens to a connection of the compressed day, or to the attempts after it.
enum DayHappening: CaseIterable {
    case rotatesCredentials, rotatesIdentity
    case brokerCloses, brokerResets, handshakeIsCut
    case brokerIsForeign, brokerHasExpired
    case passwordIsRefused, certificateIsRefused, keyIsBroken

    /// In a hundred: most connections of a day end as they should.
    private var weight: Int {
        switch self {
        case .rotatesCredentials: 35
        case .rotatesIdentity: 15
        case .brokerCloses, .brokerResets, .handshakeIsCut: 10
        default: 4
        }
    }

    private static let weighted = allCases.flatMap { Array(repeating: $0, count: $0.weight) }

    static func random(using generator: inout SeededGenerator) -> DayHappening {
        weighted[Int.random(in: 0..<weighted.count, using: &generator)]
    }
}

/// What one client has seen of the day.
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
    /// How often the files of the client certificate were replaced.
    var certificates = 0
    /// Errors that were found in a queue of OpenSSL when nothing was under way on its thread.
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

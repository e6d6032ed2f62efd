// SPDX-License-Identifier: Apache-2.0

/// Relates a failure to earlier ones: detects repetitions, and connections that end as if two clients shared an
/// identifier. A value without a clock.
struct FailureHistory: Sendable {
    /// Number of short connections in a row that suggest a takeover. MQTT 3.1.1 has no code for a takeover, and
    /// mosquitto 2.0 sends none with MQTT 5.0 either: the broker just closes.
    static let takeoverSuspicion = 5

    private struct Kind: Hashable {
        var phase: MQTTError.Phase?
        var code: MQTTError.Code
        var reasonCode: MQTTReasonCode?
        var httpStatus: Int?

        init(_ error: MQTTError) {
            phase = error.phase
            code = error.code
            reasonCode = error.reasonCode
            httpStatus = error.httpStatus
        }
    }

    private var last: Kind?
    private(set) var repetitions = 0
    private var shortConnections = 0
    /// Number of short connections that ended with an operation in progress. The operation may be the cause, but
    /// takeovers of busy clients look the same.
    private var suspectedEnds = 0
    /// Number of short connections in a row whose end looked like a takeover, and for which no operation is suspected.
    var takeovers: Int { max(0, shortConnections - Self.takeoverSuspicion + 1) }

    /// Counts a failure.
    mutating func record(_ error: MQTTError) {
        let kind = Kind(error)
        repetitions = kind == last ? repetitions + 1 : 1
        last = kind
        if error.phase != .connected { connectionEnded() }
    }

    /// Records the end of a connection that lasted long enough to start afresh.
    mutating func reset() {
        last = nil
        repetitions = 0
        connectionEnded()
    }

    /// Records that the client closed the connection, or that an operation was found to be the cause.
    mutating func connectionEnded() {
        shortConnections = 0
        suspectedEnds = 0
    }

    /// Records a short connection. Returns true if it looks like a takeover: closed repeatedly without a reason code
    /// and without a failed attempt in between, which a broker in trouble would cause. If an operation is the cause, it
    /// is identified after a few closes; if many connections end with an operation in progress and none is identified,
    /// two busy clients share an identifier.
    mutating func looksLikeTakeover(_ error: MQTTError, isOperationSuspected: Bool) -> Bool {
        guard error.code == .closed, error.reasonCode == nil else {
            connectionEnded()
            return false
        }
        if isOperationSuspected {
            suspectedEnds += 1
            return suspectedEnds >= 3 * Self.takeoverSuspicion
        }
        shortConnections += 1
        return takeovers > 0
    }
}

/// What earlier failures say about the next one: repetitions, and connections that end as if two clients shared an
/// identifier. A value without a clock.
struct FailureHistory: Sendable {
    /// So many short connections in a row look like a takeover. MQTT 3.1.1 has no code for one, and mosquitto 2.0 sends none with 5.0
    /// either: the broker just closes.
    static let takeoverSuspicion = 5

    private struct Kind: Hashable {
        var phase: MQTTError.Phase?
        var code: MQTTError.Code
        var reasonCode: MQTTReasonCode?

        init(_ error: MQTTError) {
            phase = error.phase
            code = error.code
            reasonCode = error.reasonCode
        }
    }

    private var last: Kind?
    private(set) var repetitions = 0
    private var shortConnections = 0
    /// The same with an operation under way, which may have been the reason: takeovers of busy clients look so.
    private var suspectedEnds = 0

    /// Counts a failure.
    mutating func record(_ error: MQTTError) {
        let kind = Kind(error)
        repetitions = kind == last ? repetitions + 1 : 1
        last = kind
        if error.phase != .connected { connectionEnded() }
    }

    /// A connection has ended after it lasted long enough to start afresh.
    mutating func reset() {
        last = nil
        repetitions = 0
        connectionEnded()
    }

    /// The client itself has ended a connection, or an operation was found to be the reason.
    mutating func connectionEnded() {
        shortConnections = 0
        suspectedEnds = 0
    }

    /// A connection has ended soon. Returns whether it looks like a takeover: closed without a word, time after time, with
    /// no failed attempt in between, as a broker in trouble would cause. An operation that may be the reason is convicted after a few
    /// ends; where many have one and none is convicted, two busy clients share an identifier.
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
        return shortConnections >= Self.takeoverSuspicion
    }
}

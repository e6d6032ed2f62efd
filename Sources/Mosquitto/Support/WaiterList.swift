// SPDX-License-Identifier: Apache-2.0

/// The identifier of a waiting call.
struct WaiterID: Hashable, Sendable { let number: UInt64 }

/// Calls that wait for the same event. Each is resumed exactly once. A call checks for cancellation in the same job in
/// which it adds itself: the job of its cancellation runs before or after, not in between.
struct WaiterList<Success: Sendable> {
    typealias Outcome = Result<Success, MQTTError>

    private var waiting: [WaiterID: CheckedContinuation<Outcome, Never>] = [:]

    mutating func add(_ id: WaiterID, _ continuation: CheckedContinuation<Outcome, Never>) {
        waiting[id] = continuation
    }

    mutating func resume(_ id: WaiterID, _ outcome: Outcome) {
        waiting.removeValue(forKey: id)?.resume(returning: outcome)
    }

    mutating func resumeAll(_ outcome: Outcome) {
        let all = waiting.values
        waiting.removeAll()
        for continuation in all { continuation.resume(returning: outcome) }
    }
}

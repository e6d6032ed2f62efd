// SPDX-License-Identifier: Apache-2.0

import Mosquitto

/// Runs an operation that responds to its cancellation, with a time limit of at most an hour.
///
/// Throws `MQTTCredentialError` with this message after that time, once the operation has cleaned up.
func withDeadline<Value: Sendable>(
    _ timeout: Duration, orFailWith message: @autoclosure () -> String,
    _ operation: @escaping @Sendable () async throws -> Value
) async throws -> Value {
    // Any duration is accepted: none traps.
    let timeout = min(max(timeout, .milliseconds(1)), .seconds(3_600))
    let value = try await withThrowingTaskGroup(of: Value?.self) { group in
        group.addTask { try await operation() }
        group.addTask {
            try await Task.sleep(for: timeout)
            return nil
        }
        defer { group.cancelAll() }
        return try await group.next() ?? nil
    }
    guard let value else { throw MQTTCredentialError.transient(message()) }
    return value
}

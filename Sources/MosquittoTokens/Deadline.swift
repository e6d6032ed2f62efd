import Mosquitto

/// Runs an operation that heeds its cancellation, for so long at most, and an hour at the very most.
///
/// Throws ``MQTTCredentialError`` with this message after that time, but not before the operation has cleaned up.
func withDeadline<Value: Sendable>(
    _ timeout: Duration, orFailWith message: @autoclosure () -> String,
    _ operation: @escaping @Sendable () async throws -> Value
) async throws -> Value {
    // A time-out of any length does not trap.
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

// SPDX-License-Identifier: Apache-2.0

#if !ServiceLifecycle
/// Without the trait `ServiceLifecycle` no task is shut down gracefully.
func withGracefulShutdownHandler<T>(
    isolation: isolated (any Actor)? = #isolation,
    operation: () async throws -> T,
    onGracefulShutdown handler: @Sendable @escaping () -> Void
) async rethrows -> T {
    try await operation()
}

extension Task where Success == Never, Failure == Never {
    static var isShuttingDownGracefully: Bool { false }
}
#endif

import Logging

/// Reconnects for redelivery: the broker redelivers unhandled messages only on the next connection, so the client
/// reconnects gracefully if necessary.
extension Session {
    /// The first interval between two such reconnects. It doubles up to ``maximumResendingDelay``.
    private static let minimumResendingDelay = Duration.seconds(10)
    private static let maximumResendingDelay = Duration.seconds(300)

    /// Maximum number of messages that consumers may leave unacknowledged: half of the smallest window in use, that of
    /// mosquitto with MQTT 3.1.1 (`max_inflight_messages`). A broker does not announce its own.
    private var abandonedLimit: Int { max(1, min(Int(configuration.receiveMaximum), 20) / 2) }

    /// Requests a reconnect for a new consumer of messages that were left to the broker.
    func demandResending() {
        isResendingDemanded = true
        resendIfNeeded()
    }

    func resendIfNeeded() {
        guard !timers.isRunning(.resending), isResendingDemanded || abandoned >= abandonedLimit else { return }
        guard case .connected = machine.state else { return }
        let now = ContinuousClock.now
        if let last = lastResending, now < last + resendingDelay { return resendLater(last + resendingDelay - now) }
        let actions = machine.reconnectGracefully()
        // A rotation is in progress, which may end without a reconnect.
        if actions.isEmpty { return resendLater(.seconds(1)) }
        let isRepeated = lastResending.map { now < $0 + resendingDelay * 2 } ?? false
        resendingDelay = isRepeated ? min(resendingDelay * 2, Self.maximumResendingDelay) : Self.minimumResendingDelay
        lastResending = now
        logger.notice(
            "reconnecting, so that the broker sends again what was not handled",
            metadata: ["mqtt.messages": "\(abandoned + givenBack.count)"])
        perform(actions)
    }

    private func resendLater(_ delay: Duration) {
        setTimer(.resending, after: delay) { $0.resendIfNeeded() }
    }
}

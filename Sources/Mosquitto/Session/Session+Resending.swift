import Logging

/// What was not handled comes again with the next connection only. So the client makes one, gracefully, when it matters.
extension Session {
    /// The first distance of two such reconnects. It doubles up to ``maximumResendingDelay``.
    private static let minimumResendingDelay = Duration.seconds(10)
    private static let maximumResendingDelay = Duration.seconds(300)

    /// How many messages consumers may leave unacknowledged: half of the smallest window in use, which is that of mosquitto with MQTT
    /// 3.1.1 (`max_inflight_messages`). A broker does not tell its own.
    private var abandonedLimit: Int { max(1, min(Int(configuration.receiveMaximum), 20) / 2) }

    /// A new consumer wants messages that were left to the broker.
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
        // A rotation is under way, which may end without a reconnect.
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

// SPDX-License-Identifier: Apache-2.0

/// The circumstances of an attempt, for those who provide its credentials.
extension SessionStateMachine {
    func context(_ purpose: MQTTConnectAttempt.Purpose) -> MQTTConnectAttempt {
        MQTTConnectAttempt(
            number: max(attempt, 1), isInitial: !decider.hasEverConnected, endpoint: endpoint, purpose: purpose,
            lastFailure: lastFailure)
    }

    /// The circumstances of the attempt, for the proxy's authorization.
    var dialContext: MQTTConnectAttempt { context(isProxyRefused ? .rejected : .connect) }
}

// SPDX-License-Identifier: Apache-2.0

package import Mosquitto

extension MQTTRetryPolicy {
    /// A policy for clients whose connections end all the time: delays of milliseconds, without a budget.
    ///
    /// - Parameters:
    ///   - maximumDelay: the longest delay.
    ///   - isLenient: true to go on after failures that look like a mistake in the configuration, because they are the
    ///     measurement's doing, such as a handshake that is cut.
    package static func hasty(
        seed: UInt64? = nil, maximumDelay: Duration = .milliseconds(20), isLenient: Bool = true
    ) -> MQTTRetryPolicy {
        var retry = MQTTRetryPolicy()
        retry.baseDelay = .milliseconds(2)
        retry.maximumDelay = maximumDelay
        retry.minimumDelay = .milliseconds(1)
        retry.minimumAuthenticationDelay = .milliseconds(1)
        retry.resetAfter = .milliseconds(1)
        retry.budget = nil
        retry.seed = seed
        guard isLenient else { return retry }
        retry.decide = { failure in
            let decision = MQTTRetryPolicy.Decision.standard(for: failure)
            return decision == .stop ? .retry(.standard) : decision
        }
        return retry
    }
}

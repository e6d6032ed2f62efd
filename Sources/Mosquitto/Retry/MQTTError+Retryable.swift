// SPDX-License-Identifier: Apache-2.0

extension MQTTError {
    /// True if the default retry policy retries after this connection failure; false for an error of any other origin.
    public var isRetryable: Bool {
        if [.operationRefused, .endsConnection, .queueFull, .notConnected, .messageExpired].contains(code) {
            return false
        }
        return !MQTTRetryPolicy.Decision.standard(for: MQTTFailure(error: self, attempt: 1, isInitial: true)).isStop
    }
}

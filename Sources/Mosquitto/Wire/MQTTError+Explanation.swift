// SPDX-License-Identifier: Apache-2.0

extension MQTTError {
    /// Adds the broker's explanation.
    mutating func explain(_ explanation: ReasonExplanation?) {
        guard let explanation else { return }
        reasonString = explanation.reasonString
        userProperties = explanation.userProperties
    }
}

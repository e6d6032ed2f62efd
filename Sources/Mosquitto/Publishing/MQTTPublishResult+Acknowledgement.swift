// SPDX-License-Identifier: Apache-2.0

extension MQTTPublishResult {
    init(_ acknowledgement: Acknowledgement) {
        self.init(MQTTReasonCode(rawValue: acknowledgement.reasonCode))
        guard let explanation = acknowledgement.explanation else { return }
        (reasonString, userProperties) = (explanation.reasonString, explanation.userProperties)
    }
}

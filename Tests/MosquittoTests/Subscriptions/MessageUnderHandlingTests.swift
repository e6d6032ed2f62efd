// SPDX-License-Identifier: Apache-2.0

import Testing
import Turns

@testable import Mosquitto

@Suite(.turn(.units)) struct `A message under handling` {
    private func message(_ text: String, _ topic: String = "a") -> MQTTMessage {
        MQTTMessage(topic: topic, payload: Array(text.utf8), qos: .atLeastOnce)
    }

    @Test(arguments: [false, true])
    func `is recognised by topic and payload, also when it is handled and its payload is gone (delivery 8)`(
        isCondensed: Bool
    ) {
        var known = MessageUnderHandling(message("one"), Receipt(packetID: 1) { _ in }, connection: 1)
        if isCondensed {
            known.condense()
            known.condense()
        }
        #expect(known.isSame(as: message("one")))
        #expect(!known.isSame(as: message("two")))
        #expect(!known.isSame(as: message("one ")))
        #expect(!known.isSame(as: message("one", "b")))
    }
}

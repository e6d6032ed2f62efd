// SPDX-License-Identifier: Apache-2.0

import Testing
import Turns

@testable import Mosquitto

@Suite(.turn(.units)) struct `A reason code` {
    @Test func `has the name and number of the specification`() {
        #expect(MQTTReasonCode.success.description == "Success (0x00)")
        #expect(MQTTReasonCode.notAuthorized.description == "Not authorized (0x87)")
        #expect(
            MQTTReasonCode.wildcardSubscriptionsNotSupported.description
                == "Wildcard Subscriptions not supported (0xA2)")
    }

    @Test func `keeps a number that the specification does not define`() {
        #expect(MQTTReasonCode(rawValue: 0xFE).description == "unknown reason code (0xFE)")
        #expect(MQTTReasonCode(rawValue: 0x05).description == "unknown reason code (0x05)")
    }

    @Test func `is an error from 0x80 on`() {
        for code in UInt8.min ... .max { #expect(MQTTReasonCode(rawValue: code).isError == (code >= 0x80)) }
    }

    @Test(arguments: [
        (UInt8(1), MQTTReasonCode.unsupportedProtocolVersion, "unacceptable protocol version (1)"),
        (2, .clientIdentifierNotValid, "identifier rejected (2)"), (3, .serverUnavailable, "server unavailable (3)"),
        (4, .badUserNameOrPassword, "bad user name or password (4)"), (5, .notAuthorized, "not authorized (5)"),
        (6, MQTTReasonCode(rawValue: 6), "unknown return code (6)"),
        (0x87, .notAuthorized, "unknown return code (135)"),
    ])
    func `of MQTT 3.1.1 has a meaning in 5.0`(code: UInt8, meaning: MQTTReasonCode, text: String) {
        #expect(MQTTConnectReturnCode.v3(code).reasonCode == meaning)
        #expect(MQTTConnectReturnCode.v3(code).rawValue == code)
        #expect(MQTTConnectReturnCode.v3(code).description == text)
    }

    @Test func `of MQTT 5.0 is itself`() {
        #expect(MQTTConnectReturnCode.v5(.banned).reasonCode == .banned)
        #expect(MQTTConnectReturnCode.v5(.banned).rawValue == 0x8A)
        #expect(MQTTConnectReturnCode.v5(.banned).description == "Banned (0x8A)")
    }

    @Test func `a QoS is ordered`() {
        #expect(MQTTQoS.atMostOnce < .atLeastOnce)
        #expect(MQTTQoS.allCases.max() == .exactlyOnce)
    }
}

@Suite(.turn(.units)) struct `An error` {
    @Test func `says what happened, what the broker said, and where`() {
        var error = MQTTError(.refused, "the broker refused the connection")
        #expect("\(error)" == "the broker refused the connection")
        error.reasonString = "go\naway"
        error.endpoint = "broker:1883"
        #expect("\(error)" == #"the broker refused the connection: "go\naway" [broker:1883]"#)
    }
}

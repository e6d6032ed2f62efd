// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing
import Turns

@testable import Mosquitto

@Suite(.turn(.units)) struct `Publish properties` {
    @Test(arguments: [
        MQTTPublishProperties(), .init(payloadIsUTF8: true, messageExpiryInterval: .max, contentType: "text/plain"),
        .init(responseTopic: "a/b", correlationData: [0, 1]),
        .init(userProperties: [.init("", ""), .init("a", "é — \u{FEFF}")]),
    ])
    func `that can be sent are valid`(properties: MQTTPublishProperties) throws { try properties.validate() }

    @Test(arguments: [
        (MQTTPublishProperties(contentType: "a\0"), MQTTError.Code.invalidProperty, "content type"),
        (.init(contentType: "a\n"), .invalidProperty, "control character"),
        (.init(responseTopic: ""), .invalidTopic, "is empty"), (.init(responseTopic: "a/#"), .invalidTopic, "wildcard"),
        (.init(userProperties: [.init("a\0", "")]), .invalidProperty, "user property name"),
        (.init(userProperties: [.init("a", "\0")]), .invalidProperty, "user property value"),
        (.init(userProperties: [.init("a", "line\nbreak")]), .invalidProperty, "control character"),
        (.init(userProperties: [.init("a\t", "")]), .invalidProperty, "control character"),
        (.init(userProperties: [.init("a", "\u{85}")]), .invalidProperty, "control character"),
        (.init(userProperties: [.init("a", "\u{FFFF}")]), .invalidProperty, "non-character"),
    ])
    func `that cannot be sent are refused`(properties: MQTTPublishProperties, code: MQTTError.Code, text: String) {
        let error = #expect(throws: MQTTError.self) { try properties.validate() }
        #expect(error?.code == code)
        #expect(error?.message.contains(text) == true)
    }

    @Test func `have 65,535 bytes each at most`() throws {
        let bytes = [UInt8](repeating: 0x78, count: 65_535)
        let text = String(decoding: bytes, as: UTF8.self)
        try MQTTPublishProperties(contentType: text, correlationData: bytes, userProperties: [.init(text, text)])
            .validate()
        for properties: MQTTPublishProperties in [
            .init(contentType: text + "x"), .init(correlationData: bytes + [0]),
            .init(userProperties: [.init(text + "x", "")]),
            .init(userProperties: [.init("", text + "x")]),
        ] {
            let error = #expect(throws: MQTTError.self) { try properties.validate() }
            #expect(error?.message.contains("65536 bytes") == true)
        }
    }

    @Test func `are empty until one is set`() {
        var properties = MQTTPublishProperties()
        #expect(properties.isEmpty)
        properties.payloadIsUTF8 = false
        #expect(!properties.isEmpty)
    }
}

@Suite(.turn(.units)) struct `A payload` {
    @Test func `is text, bytes or data`() {
        #expect("é".mqttPayload == [0xC3, 0xA9])
        #expect(([1, 2] as [UInt8]).mqttPayload == [1, 2])
        #expect(([1, 2, 3] as [UInt8])[1...].mqttPayload == [2, 3])
        #expect(Data([1, 2]).mqttPayload == [1, 2])
    }

    @Test func `is shown as text even if it is none`() {
        #expect(MQTTMessage(topic: "t", payload: [0x61, 0xFF], qos: .atMostOnce).payloadString == "a\u{FFFD}")
    }
}

@Suite(.turn(.units)) struct `A value in a message` {
    @Test func `is quoted, escaped and cut`() {
        #expect(quoted("a\"b") == "\"a\"b\"")
        #expect(quoted("a\n\u{0}") == #""a\n\u{0}""#)
        #expect(quoted(String(repeating: "x", count: 81)) == "\"" + String(repeating: "x", count: 80) + "…\"")
    }
}

// SPDX-License-Identifier: Apache-2.0

import Testing
import Turns

@testable import Mosquitto
@testable import mosq

@Suite("The JSON of -F", .turn(.command))
struct MessageJSONTests {
    private func json(
        _ payload: String, _ kind: MessageJSON.Payload = .json, pretty: Bool = false
    ) -> String? {
        let message = MQTTMessage(topic: "a", payload: Array(payload.utf8), qos: .atMostOnce)
        let time = MessageTime(seconds: 0, nanoseconds: 1_999)
        return MessageJSON.bytes(message, payload: kind, time: time, isPretty: pretty)
            .map { String(decoding: $0, as: UTF8.self) }
    }

    /// Returns a payload as `%J` prints it.
    private func rewritten(_ payload: String) throws -> String? {
        guard let json = json(payload) else { return nil }
        let start = try #require(json.firstRange(of: #""payload":"#)?.upperBound)
        return String(json[start...].dropLast())
    }

    @Test func `the members have mosquitto's names and order`() throws {
        var message = MQTTMessage(topic: "a\"b", payload: Array("x\ty".utf8), qos: .exactlyOnce, retain: true)
        message.packetIdentifier = 3
        message.properties = MQTTPublishProperties(
            payloadIsUTF8: false, messageExpiryInterval: 60, contentType: "c", responseTopic: "r",
            correlationData: [0x41, 0, 0x42], userProperties: [.init("u", "1"), .init("u", "2")])
        message.properties.subscriptionIdentifiers = [5]
        let bytes = MessageJSON.bytes(
            message, payload: .text, time: .init(seconds: 0, nanoseconds: 1_999), isPretty: false)
        let text = String(decoding: try #require(bytes), as: UTF8.self)
        #expect(text.prefix(35).wholeMatch(of: /{"tst":"19[67]\d-..-..T..:..:..\.000001Z/) != nil, "\(text)")
        let rest =
            #"","topic":"a\"b","qos":2,"retain":1,"payloadlen":3,"mid":3,"properties":{"subscription-identifier":5,"#
            + #""payload-format-indicator":0,"content-type":"c","response-topic":"r","correlation-data":"A","#
            + #""user-properties":{"u":"1","u":"2"},"message-expiry-interval":60},"payload":"x\ty"}"#
        #expect(text.hasSuffix(rest), "\(text)")
    }

    @Test func `a topic alias is a property`() {
        var message = MQTTMessage(topic: "a", payload: [0x78], qos: .atMostOnce)
        message.topicAlias = 5
        let bytes = MessageJSON.bytes(
            message, payload: .text, time: .init(seconds: 0, nanoseconds: 0), isPretty: false)
        let text = String(decoding: bytes ?? [], as: UTF8.self)
        #expect(text.hasSuffix(#""payloadlen":1,"properties":{"topic-alias":5},"payload":"x"}"#), "\(text)")
    }

    @Test func `an empty payload is null, bytes become UTF-8 (case 18), and a NUL ends the text`() throws {
        #expect(json("", .text)?.hasSuffix(#""payloadlen":0,"payload":null}"#) == true)
        #expect(json("", .json)?.hasSuffix(#""payloadlen":0,"payload":null}"#) == true)
        #expect(json("a\0b", .text)?.hasSuffix(#""payloadlen":3,"payload":"a"}"#) == true)
        for wrong: [UInt8] in [[0xFF], [0xC0, 0xAF], [0xED, 0xA0, 0x80]] {
            let message = MQTTMessage(topic: "a", payload: wrong + [0x01, 0x7F], qos: .atMostOnce)
            let bytes = try #require(
                MessageJSON.bytes(message, payload: .text, time: .init(seconds: 0, nanoseconds: 0), isPretty: false))
            let text = try #require(String(validating: bytes, as: UTF8.self))
            #expect(text.hasSuffix("\u{FFFD}\\u0001\u{7F}\"}"))
        }
    }

    @Test(arguments: [
        ("1", "1"), (" 1 ", "1"), ("-0", "-0"), ("01", "1"), ("1.0", "1"), ("0.1", "0.1"), ("1e15", "1e+15"),
        ("123456789012345", "123456789012345"), ("3.14159265358979312", "3.1415926535897931"), ("1e400", "null"),
        ("12345678901234567890", "1.2345678901234567e+19"), ("-1.5e-7", "-1.5e-07"),
        ("-9223372036854775808", "-9.2233720368547758e+18"), ("9223372036854775807", "9.2233720368547758e+18"),
        ("null", "null"),
        ("[ ]", "[]"), ("{ }", "{}"), (#"[1 , "a",[true,false]]"#, #"[1,"a",[true,false]]"#),
        (#"{"a":1,"a":{"b":[]}}"#, #"{"a":1,"a":{"b":[]}}"#), (#""\u00e9\/\u0001\b""#, #""é/\u0001\b""#),
        (#""\ud83d\ude00""#, #""😀""#), (#""a\u0000b""#, #""a""#), ("\u{FEFF}1", "1"), (#""\uzzzzb""#, #""""#),
    ])
    func `JSON is read and written as cJSON does it`(payload: String, expected: String) throws {
        #expect(try rewritten(payload) == expected)
    }

    @Test(arguments: [
        "x", " ", "1 2", "[1", "[1,]", "{\"a\"}", "{a:1}", "{\"a\":1,}", "\"", "\"\\x\"", "\"\\ud83d\"", "\"\\u12\"",
        "-", "1e", "+1", "nul", "1\0", "]", "\"\\",
        String(repeating: "[", count: 1_001) + String(repeating: "]", count: 1_001),
        String(repeating: "1", count: 64),
    ])
    func `what is not JSON is nothing`(payload: String) {
        #expect(json(payload) == nil)
        #expect(json(payload, .text) != nil)
    }

    @Test func `a thousand brackets are not too many`() throws {
        let nested = String(repeating: "[", count: 1_000) + String(repeating: "]", count: 1_000)
        #expect(try rewritten(nested) == nested)
    }

    @Test func `the pretty form is that of cJSON`() throws {
        let text = try #require(json(#"[[],{"a":{}},{"b":[1,2],"c":3}]"#, pretty: true))
        #expect(
            text.hasSuffix(
                """
                \t"topic":\t"a",
                \t"qos":\t0,
                \t"retain":\t0,
                \t"payloadlen":\t31,
                \t"payload":\t[[], {
                \t\t\t"a":\t{
                \t\t\t}
                \t\t}, {
                \t\t\t"b":\t[1, 2],
                \t\t\t"c":\t3
                \t\t}]
                }
                """), "\(text)")
        #expect(text.hasPrefix("{\n\t\"tst\":\t\"19"))
    }

    @Test func `a message that is not JSON is reported, and the rest of the line is printed`() throws {
        var warnings: [String] = []
        let message = MQTTMessage(topic: "a/b", payload: Array("x".utf8), qos: .atMostOnce)
        let formatter = MessageFormatter(try MessageFormat("<%J>")) { warnings.append($0) }
        #expect(formatter.bytes(message) == Array("<>".utf8))
        #expect(warnings == ["Error: Message payload is not valid JSON on topic a/b."])
    }
}

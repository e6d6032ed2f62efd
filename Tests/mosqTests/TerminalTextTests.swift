// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import Testing
import Turns

@testable import mosq

/// Text of publishers and brokers on a terminal.
@Suite(.turn(.command)) struct `Text on a terminal` {
    @Test func `is printed as it is if it is printable`() {
        for text in ["", "plain", "two\nlines\tand a tab", "Köln 日本", #"{"a": 1}"#] {
            #expect(TerminalText.escaping(text.utf8) == Array(text.utf8))
        }
    }

    @Test func `does not steer it`() {
        let text = "\u{1B}]0;x\u{7}a\rb\u{9B}31m\u{202E}\u{2028}\u{0}"
        let shown = String(decoding: TerminalText.escaping(text.utf8), as: UTF8.self)
        #expect(shown == #"\u{1B}]0;x\u{7}a\rb\u{9B}31m\u{202E}\u{2028}\u{0}"#)
        // Not UTF-8; C1 controls of an 8-bit terminal are among these bytes.
        #expect(TerminalText.escaping([0x61, 0x9B, 0x33, 0x0A, 0xFF]) == Array("a\\x9b3\n\\xff".utf8))
    }

    @Test func `is escaped field by field: the format is the user's own`() throws {
        let message = MQTTMessage(topic: "t\u{9B}", payload: Array("p\u{1B}[2J".utf8), qos: .atMostOnce)
        let format = try MessageFormat(#"\e[1m%t\e[0m %p %x %l"#)
        let shown = MessageFormatter(format, escapes: true).bytes(message)
        let expected = "\u{1B}[1m" + #"t\u{9B}"# + "\u{1B}[0m " + #"p\u{1B}[2J"# + " 701b5b324a 5"
        #expect(String(decoding: shown, as: UTF8.self) == expected)
        let piped = MessageFormatter(try MessageFormat("%t %p")).bytes(message)
        #expect(piped == Array("t\u{9B} p\u{1B}[2J".utf8))
    }

    @Test func `is escaped in JSON`() throws {
        var object = JSONObject()
        object.set("a", "\u{9B}\u{85}\u{2028}\u{202E}\u{7F}\u{1}\u{E0001}\"ü")
        #expect(object.text == #"{"a":"\u009b\u0085\u2028\u202e\u007f\u0001\udb40\udc01\"ü"}"#)
        #expect(JSONText.printable("{\n\t\"a\": \"\u{9B}\"\n}") == "{\n\t\"a\": \"" + #"\u009b"# + "\"\n}")
    }
}

// SPDX-License-Identifier: Apache-2.0

import Testing
import Turns

@testable import Mosquitto

@Suite(.turn(.units)) struct `Text from outside` {
    @Test func `stays as it is if it is printable`() {
        for text in ["", "CN=Köln, O=日本", "a b", #"back\slash "quoted""#, "e\u{301}"] {
            #expect(ForeignText(text).description == text)
            #expect(ForeignText.escaping(text) == text)
        }
    }

    @Test func `has what steers a terminal or breaks a line escaped`() {
        let text =
            "\u{0}\u{7}\t\n\r\u{1B}[2J\u{7F}\u{85}\u{9B}\u{9D}\u{200F}\u{202E}\u{2028}\u{2029}\u{2066}\u{FEFF}\u{E000}"
        let shown = ForeignText(text).description
        #expect(!shown.unicodeScalars.contains(where: ForeignText.isUnprintable))
        #expect(
            shown
                == #"\u{0}\u{7}\t\n\r\u{1B}[2J\u{7F}\u{85}\u{9B}\u{9D}\u{200F}\u{202E}\u{2028}\u{2029}\u{2066}\u{FEFF}\u{E000}"#
        )
    }

    @Test(arguments: ["x", "ü", "\u{9B}", "日"])
    func `has at most 1 KiB, and shows that it was cut`(character: String) {
        let shown = ForeignText(String(repeating: character, count: 100_000)).description
        #expect(shown.utf8.count <= 1_024 && shown.utf8.count > 1_000)
        #expect(shown.hasSuffix("…"))
        let fits = String(repeating: "x", count: 1_024)
        #expect(ForeignText(fits).description == fits)
    }

    @Test func `of a broker is printable in an error`() {
        var explanation = ReasonExplanation()
        let reason = Array("no\u{202E}\u{9B}\n".utf8)
        ([0, UInt8(reason.count)] + reason).withUnsafeBytes { explanation.read(0x1F, $0) }
        var error = MQTTError(.refused, "refused by \u{9D}")
        error.explain(explanation)
        #expect(error.message == #"refused by \u{9D}"#)
        #expect(error.reasonString == #"no\u{202E}\u{9B}\n"#)
        #expect(!"\(error)".unicodeScalars.contains(where: ForeignText.isUnprintable))
    }
}

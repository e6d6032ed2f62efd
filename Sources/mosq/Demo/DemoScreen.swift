// SPDX-License-Identifier: Apache-2.0

import Mosquitto

#if canImport(Darwin)
import Darwin
#elseif canImport(Musl)
import Musl
#else
import Glibc
#endif

/// The output of the demo for a person: lines with the elapsed time, and a table at the end.
struct DemoScreen: Sendable {
    private let start = ContinuousClock.now
    private let hasColor = isatty(STDOUT_FILENO) == 1

    enum Tone: String {
        case bad = "31"
        case good = "32"
        case step = "1;36"
        case plain = "0"
    }

    func line(_ text: String, _ tone: Tone = .plain) {
        let elapsed = (ContinuousClock.now - start) / .seconds(1)
        write("\(Self.fixed(elapsed, 2, width: 6))  \(color(text, tone))")
    }

    func show(_ summary: DemoSummary) {
        let rows: [(String, String)] = [
            ("attempts to connect", "\(summary.attempts), of which \(summary.failures) failed as they should"),
            ("rotations", "\(summary.gaps.count)"),
            (
                "gap of each rotation",
                summary.gaps.map { Self.fixed($0 / .milliseconds(1), 1) + " ms" }.joined(separator: ", ")
            ),
            ("messages sent", "\(summary.sent)"), ("messages received", "\(summary.received)"),
            ("messages lost", "\(summary.lost)"),
        ]
        let rule = String(repeating: "-", count: 64)
        write(rule)
        for (name, value) in rows {
            let isVerdict = name == "messages lost"
            let padded = name + String(repeating: " ", count: 24 - name.count)
            write(padded + color(value, isVerdict ? (summary.lost == 0 ? .good : .bad) : .plain))
        }
        write(rule)
    }

    private func color(_ text: String, _ tone: Tone) -> String {
        hasColor && tone != .plain ? "\u{1B}[\(tone.rawValue)m\(text)\u{1B}[0m" : text
    }

    private func write(_ text: String) {
        print(text)
        fflush(nil)
    }

    private static func fixed(_ value: Double, _ digits: Int, width: Int = 0) -> String {
        var scale = 1.0
        for _ in 0..<digits { scale *= 10 }
        let scaled = Int((value * scale).rounded())
        let fraction = String(abs(scaled) % Int(scale))
        let text = "\(scaled / Int(scale))." + String(repeating: "0", count: digits - fraction.count) + fraction
        return String(repeating: " ", count: max(0, width - text.count)) + text
    }
}

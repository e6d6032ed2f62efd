// SPDX-License-Identifier: Apache-2.0

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

#if canImport(Darwin)
import Darwin
#elseif canImport(Musl)
import Musl
#else
import Glibc
#endif

/// Marks, with colour or without.
struct ReportStyle {
    var isColored = false

    /// Uses colour only on a terminal, and only if `NO_COLOR` is not set (https://no-color.org).
    static func standardOutput(environment: [String: String], isTerminal: Bool = isatty(STDOUT_FILENO) == 1)
        -> ReportStyle
    {
        let refuses = environment["NO_COLOR"].map { !$0.isEmpty } ?? false
        return ReportStyle(isColored: isTerminal && !refuses && environment["TERM"] != "dumb")
    }

    func mark(_ status: FindingStatus) -> String {
        switch status {
        case .ok: text("✓", status)
        case .warning: text("!", status)
        case .failed: text("✗", status)
        case .skipped: text("-", status)
        }
    }

    /// The text in the colour of a status.
    func text(_ text: String, _ status: FindingStatus) -> String {
        guard isColored else { return text }
        let code =
            switch status {
            case .ok: 32
            case .warning: 33
            case .failed: 31
            case .skipped: 2
            }
        return "\u{1B}[\(code)m\(text)\u{1B}[0m"
    }
}

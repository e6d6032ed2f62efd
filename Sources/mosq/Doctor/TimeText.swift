// SPDX-License-Identifier: Apache-2.0

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Durations and times in everyday words.
enum TimeText {
    /// "3 ms", "1.2 s", "59 min", "3 h", "12 days"; without a sign.
    static func length(_ seconds: Double) -> String {
        let seconds = abs(seconds)
        switch seconds {
        case ..<0.001: return "under 1 ms"
        case ..<1: return "\(Int((seconds * 1_000).rounded())) ms"
        case ..<10: return "\((seconds * 10).rounded() / 10) s"
        case ..<120: return "\(Int(seconds.rounded())) s"
        case ..<7_200: return "\(Int((seconds / 60).rounded())) min"
        case ..<172_800: return "\(Int((seconds / 3_600).rounded())) h"
        case ..<1e12: return "\(Int((seconds / 86_400).rounded())) days"
        default: return "for ever"
        }
    }

    /// "in 5 min" or "5 min ago".
    static func relative(_ date: Date, to now: Date) -> String {
        let seconds = date.timeIntervalSince(now)
        return seconds >= 0 ? "in \(length(seconds))" : "\(length(seconds)) ago"
    }

    static func moment(_ date: Date) -> String { date.formatted(.iso8601) }
}

extension Duration {
    var inSeconds: Double { self / .seconds(1) }
}

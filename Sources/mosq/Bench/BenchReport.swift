// SPDX-License-Identifier: Apache-2.0

import Histogram

/// The figures of a benchmark.
struct BenchReport {
    /// The unit of ``messages``, such as "messages" or "connections".
    var unit: String
    var messages: Int
    var bytes: Int
    var seconds: Double
    /// In nanoseconds.
    var latencies: Histogram<UInt64>
    /// In microseconds, for all messages.
    var userTime: Double
    var systemTime: Double
    var peakBytes: Int
    var errors: Int

    /// The text for a user.
    var line: String {
        let latency =
            latencies.totalCount == 0
            ? "not measured"
            : Self.percentiles.map { "\($0.title) \(Self.fixed(milliseconds($0.percentile), 3))" }.joined(
                separator: ", ")
        let one = unit.hasSuffix("s") ? String(unit.dropLast()) : unit
        return """
            \(messages) \(unit) in \(Self.fixed(seconds, 3)) s, \(Self.fixed(rate, 0)) \(unit)/s, \
            \(Self.fixed(byteRate / 1e6, 3)) MB/s; latency in ms: \(latency); CPU: \(Self.fixed(perMessage(userTime), 2)) µs user, \
            \(Self.fixed(perMessage(systemTime), 2)) µs system a \(one); peak memory: \
            \(Self.fixed(Double(peakBytes) / 1_048_576, 1)) MiB; errors: \(errors)
            """
    }

    /// The JSON for programs. Every key is always present; a latency that was not measured is `null`.
    var json: String {
        let latency = Self.percentiles.map { name in
            let value = latencies.totalCount == 0 ? "null" : "\(Self.rounded(milliseconds(name.percentile), 6))"
            return "\"\(name.key)\":\(value)"
        }
        return """
            {"messages":\(messages),"seconds":\(Self.rounded(seconds, 6)),"messagesPerSecond":\(Self.rounded(rate, 1)),\
            "bytesPerSecond":\(Self.rounded(byteRate, 1)),"latencyMs":{\(latency.joined(separator: ","))},\
            "cpuMicrosPerMessage":{"user":\(Self.rounded(perMessage(userTime), 3)),\
            "system":\(Self.rounded(perMessage(systemTime), 3))},"peakRSSBytes":\(peakBytes),"errors":\(errors)}
            """
    }

    private static let percentiles: [(key: String, title: String, percentile: Double)] = [
        ("p50", "p50", 50), ("p90", "p90", 90), ("p99", "p99", 99), ("p999", "p99.9", 99.9), ("max", "max", 100),
    ]

    private var rate: Double { seconds > 0 ? Double(messages) / seconds : 0 }
    private var byteRate: Double { seconds > 0 ? Double(bytes) / seconds : 0 }

    private func perMessage(_ time: Double) -> Double { messages > 0 ? time / Double(messages) : 0 }

    private func milliseconds(_ percentile: Double) -> Double {
        // The histogram returns the upper end of a bucket for a percentile, which may exceed the largest recorded
        // value.
        let value = min(latencies.valueAtPercentile(percentile), latencies.maxRecorded)
        return Double(value) / 1_000_000
    }

    private static func rounded(_ value: Double, _ digits: Int) -> Double {
        let scale = powerOfTen(digits)
        return (value * scale).rounded() / scale
    }

    /// Formats a number with exactly this number of decimals.
    static func fixed(_ value: Double, _ digits: Int) -> String {
        let scaled = Int((value * powerOfTen(digits)).rounded())
        if digits == 0 { return "\(scaled)" }
        let (whole, rest) = scaled.quotientAndRemainder(dividingBy: Int(powerOfTen(digits)))
        let fraction = String(rest)
        return "\(whole)." + String(repeating: "0", count: digits - fraction.count) + fraction
    }

    private static func powerOfTen(_ digits: Int) -> Double { (0..<digits).reduce(1) { scale, _ in scale * 10 } }
}

// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

/// Prints each measurement next to its limit, and records exceeded limits.
struct Bounds {
    private(set) var broken: [String] = []

    mutating func check(_ holds: Bool, _ sentence: String) {
        print("\(holds ? "ok    " : "FAILED") \(sentence)")
        if !holds { broken.append(sentence) }
    }

    /// Ends the command with status 1 if a limit is exceeded.
    func enforce() throws {
        if !broken.isEmpty { throw ExitCode.failure }
    }
}

func quantile(_ fraction: Double, _ times: [Duration]) -> Duration {
    let sorted = times.sorted()
    return sorted.isEmpty ? .zero : sorted[min(sorted.count - 1, Int(Double(sorted.count) * fraction))]
}

func milliseconds(_ time: Duration) -> String { "\((time / .milliseconds(1) * 100).rounded() / 100) ms" }

func latencies(_ times: [Duration]) -> String {
    "p50 \(milliseconds(quantile(0.5, times))), p99 \(milliseconds(quantile(0.99, times))), "
        + "longest \(milliseconds(times.max() ?? .zero)) of \(times.count)"
}

func rounded(_ number: Double, _ digits: Int = 1) -> String {
    var factor = 1.0
    for _ in 0..<digits { factor *= 10 }
    return "\((number * factor).rounded() / factor)"
}

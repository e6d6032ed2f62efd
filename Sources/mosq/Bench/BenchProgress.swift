// SPDX-License-Identifier: Apache-2.0

#if canImport(Darwin)
import Darwin
#elseif canImport(Musl)
import Musl
#else
import Glibc
#endif

/// The progress line of a running benchmark, shown only on a terminal.
struct BenchProgress: Sendable {
    let meter: BenchMeter
    let unit: String

    static var isPossible: Bool { isatty(STDERR_FILENO) == 1 }

    /// Writes until the task is cancelled, and leaves an empty line.
    func show() async {
        var before = (time: ContinuousClock.now, messages: meter.messages)
        while (try? await Task.sleep(for: .milliseconds(500))) != nil {
            let now = (time: ContinuousClock.now, messages: meter.messages)
            let rate = Double(now.messages - before.messages) / ((now.time - before.time) / .seconds(1))
            Self.write("\r\u{1B}[K\(now.messages) of \(meter.goal) \(unit), \(BenchReport.fixed(rate, 0))/s")
            before = now
        }
        Self.write("\r\u{1B}[K")
    }

    private static func write(_ text: String) {
        var output = StandardOutput(descriptor: STDERR_FILENO)
        output.write(text.utf8)
        output.flush()
    }
}

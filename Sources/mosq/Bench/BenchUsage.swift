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

/// The CPU time that this process has used so far, in microseconds.
struct BenchUsage: Sendable {
    let user: Double
    let system: Double

    static var now: BenchUsage {
        let usage = resourceUsage()
        return BenchUsage(user: microseconds(usage.ru_utime), system: microseconds(usage.ru_stime))
    }

    /// The peak memory of this process.
    static var peakBytes: Int {
        #if os(Linux)
        // The kernel keeps ru_maxrss across execve(2): a larger value of the shell or test that started the command
        // would remain.
        let status = try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)
        let line = status?.split(separator: "\n").first { $0.hasPrefix("VmHWM:") }
        if let kibibytes = line?.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap({ Int($0) }) {
            return kibibytes * 1_024
        }
        return Int(resourceUsage().ru_maxrss) * 1_024
        #else
        return Int(resourceUsage().ru_maxrss)
        #endif
    }

    private static func resourceUsage() -> rusage {
        var usage = rusage()
        #if canImport(Glibc)
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        #else
        getrusage(RUSAGE_SELF, &usage)
        #endif
        return usage
    }

    private static func microseconds(_ time: timeval) -> Double {
        Double(time.tv_sec) * 1_000_000 + Double(time.tv_usec)
    }
}

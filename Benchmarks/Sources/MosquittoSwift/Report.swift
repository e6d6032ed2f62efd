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

/// The clock and this process's CPU time at one moment.
struct Reading {
    let instant: ContinuousClock.Instant
    let user: Double
    let system: Double

    static var now: Reading {
        var usage = rusage()
        #if canImport(Glibc)
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        #else
        getrusage(RUSAGE_SELF, &usage)
        #endif
        return Reading(instant: .now, user: seconds(usage.ru_utime), system: seconds(usage.ru_stime))
    }

    private static func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }
}

/// The time and processor time of a measurement since its first reading.
struct Report {
    private let seconds: Double
    private let user: Double
    private let system: Double
    private let latencies: [Duration]

    init(since begin: Reading, latencies: [Duration] = []) {
        let end = Reading.now
        seconds = (end.instant - begin.instant) / .seconds(1)
        user = end.user - begin.user
        system = end.system - begin.system
        self.latencies = latencies.sorted()
    }

    func json(program: String, work: String, messages: Int) -> String {
        var fields = [
            "\"program\":\"\(program)\"", "\"work\":\"\(work)\"", "\"messages\":\(messages)",
            "\"seconds\":\(seconds)", "\"userSeconds\":\(user)", "\"systemSeconds\":\(system)", "\"peakKB\":\(peakKB)",
        ]
        if let slowest = latencies.last {
            for (name, share) in [("p50us", 0.5), ("p90us", 0.9), ("p99us", 0.99)] {
                fields.append("\"\(name)\":\(latencies[Int(Double(latencies.count - 1) * share)] / .microseconds(1))")
            }
            fields.append("\"maxus\":\(slowest / .microseconds(1))")
        }
        return "{" + fields.joined(separator: ",") + "}"
    }

    /// The peak memory of this process. Linux keeps `ru_maxrss` across execve(2): a larger value of the parent would
    /// remain.
    private var peakKB: Int {
        let status = try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)
        let line = status?.split(separator: "\n").first { $0.hasPrefix("VmHWM:") }
        return line?.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { Int($0) } ?? 0
    }
}

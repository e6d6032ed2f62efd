// SPDX-License-Identifier: Apache-2.0

import Foundation
import Mosquitto
import MosquittoTesting

#if os(Linux)
import Glibc

/// Figures of the kernel about this process.
enum ThisProcess {
    /// Resident memory in KB.
    static func residentKB() throws -> Int {
        let fields = try String(contentsOfFile: "/proc/self/statm", encoding: .utf8).split(separator: " ")
        guard fields.count > 1, let pages = Int(fields[1]) else {
            throw SoakFailure("/proc/self/statm has no numbers")
        }
        return pages * Int(sysconf(Int32(_SC_PAGESIZE))) / 1_024
    }

    static func descriptors() throws -> Int {
        try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count
    }

    static func threads() throws -> Int { try FileManager.default.contentsOfDirectory(atPath: "/proc/self/task").count }

    /// User and system time.
    static func processorTime() -> Duration { SystemClock.ofProcess }

    /// Returns resident memory once two samples, one keep-alive check apart, agree; after the deadline, the last
    /// sample.
    static func settledKB(pause: Duration, deadline: Duration) async throws -> Int {
        var last = try residentKB()
        let end = ContinuousClock.now + deadline
        while ContinuousClock.now < end {
            try await Task.sleep(for: pause)
            let now = try residentKB()
            if abs(now - last) * 200 < last { return now }
            last = now
        }
        return last
    }

    /// One descriptor for the connection. Opening a session needs more, but for less than a millisecond.
    static let descriptorsAClient = 1

    /// Raises the limit of descriptors for this number of clients. A broker started afterwards inherits the limit.
    static func allow(clients: Int) throws {
        let needed = rlim_t(clients * descriptorsAClient + 200)
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else {
            throw SoakFailure("the limit of descriptors cannot be read")
        }
        if limit.rlim_cur >= needed { return }
        guard limit.rlim_max >= needed else {
            let most = (Int(limit.rlim_max) - 200) / descriptorsAClient
            throw SoakFailure(
                "\(clients) clients need \(needed) descriptors, \(descriptorsAClient) each, and the hard limit is "
                    + "\(limit.rlim_max): raise it (ulimit -Hn, or LimitNOFILE), or measure with --clients \(most)")
        }
        limit.rlim_cur = needed
        guard setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else {
            throw SoakFailure("the limit of descriptors cannot be raised to \(needed)")
        }
    }
}
#endif

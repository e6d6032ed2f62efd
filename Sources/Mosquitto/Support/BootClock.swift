// SPDX-License-Identifier: Apache-2.0

// Its header for timerfd(2) may be the first one that declares `timespec`, which then counts as its own.
import CMosquittoShim

#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The time since the start of this machine, which no change of its clock affects, and which all processes share.
package enum BootClock {
    /// In seconds.
    package static var now: Double {
        var time = timespec()
        #if canImport(Darwin)
        clock_gettime(CLOCK_MONOTONIC, &time)
        #else
        clock_gettime(CLOCK_BOOTTIME, &time)
        #endif
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}

// SPDX-License-Identifier: Apache-2.0

import CMosquittoShim

#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The clocks of the operating system that Swift's standard library lacks. C reads them: several C modules declare
/// `timespec`, the first one that the compiler loads owns the type, and Swift reads its members only where that module
/// is imported.
package enum SystemClock {
    /// The time since 1970, without leap seconds. All processes share this clock.
    package static var sinceEpoch: Duration { .nanoseconds(cmq_clock(CLOCK_REALTIME)) }

    /// The time since the start of this machine. All processes share this clock, and no change of the date affects it.
    package static var sinceBoot: Duration {
        #if canImport(Darwin)
        .nanoseconds(cmq_clock(CLOCK_MONOTONIC))
        #else
        .nanoseconds(cmq_clock(CLOCK_BOOTTIME))
        #endif
    }

    /// The processor time that the calling thread has used.
    package static var ofThread: Duration { .nanoseconds(cmq_clock(CLOCK_THREAD_CPUTIME_ID)) }

    /// The processor time that this process has used.
    package static var ofProcess: Duration { .nanoseconds(cmq_clock(CLOCK_PROCESS_CPUTIME_ID)) }
}

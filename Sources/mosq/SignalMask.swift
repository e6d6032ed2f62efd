// SPDX-License-Identifier: Apache-2.0

#if canImport(Darwin)
import Darwin
#elseif canImport(Musl)
import Musl
#else
import Glibc
#endif

/// The signals that a thread blocks. On Linux, the threads of Dispatch block most of them, and a program that such a
/// thread starts would block them on each of its threads: neither SIGINT nor SIGTERM would end it.
enum SignalMask {
    /// Lets all signals reach this thread, from now on.
    static func clear() {
        var none = sigset_t()
        sigemptyset(&none)
        pthread_sigmask(SIG_SETMASK, &none, nil)
    }

    /// Receives all signals, and returns at none of them.
    static func waitForSignals() -> Never {
        var none = sigset_t()
        sigemptyset(&none)
        while true { sigsuspend(&none) }
    }
}

// SPDX-License-Identifier: Apache-2.0

import Mosquitto

#if os(Linux)
import Glibc

/// Runs on the thread of an event loop, between two of its turns.
actor LoopProbe {
    private nonisolated let loop: MosquittoEventLoop

    init(_ loop: MosquittoEventLoop) { self.loop = loop }

    nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

    /// The oldest error in the thread's OpenSSL queue. The library has left it behind, since no other work of the loop
    /// is under way.
    var oldestOpenSSLError: String? { OpenSSLErrors.oldest() }

    /// The processor time that the loop's thread has used.
    var processorTime: Duration { .clock(CLOCK_THREAD_CPUTIME_ID) }
}

extension Duration {
    /// Returns the time of a system clock. The function does not use the field names of `timespec`, since the compiler
    /// finds that type now in Glibc and now in CoreFoundation.
    static func clock(_ clock: clockid_t) -> Duration {
        var time = (seconds: 0, nanoseconds: 0)
        withUnsafeMutableBytes(of: &time) { bytes in
            guard let start = bytes.baseAddress else { return }
            clock_gettime(clock, start.assumingMemoryBound(to: timespec.self))
        }
        return .seconds(time.seconds) + .nanoseconds(time.nanoseconds)
    }
}
#endif

// SPDX-License-Identifier: Apache-2.0

import Mosquitto

#if os(Linux)
/// Runs on the thread of an event loop, between two of its turns.
actor LoopProbe {
    private nonisolated let loop: MosquittoEventLoop

    init(_ loop: MosquittoEventLoop) { self.loop = loop }

    nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

    /// The oldest error in the thread's OpenSSL queue. The library has left it behind, since no other work of the loop
    /// is under way.
    var oldestOpenSSLError: String? { OpenSSLErrors.oldest() }

    /// The processor time that the loop's thread has used.
    var processorTime: Duration { SystemClock.ofThread }
}
#endif

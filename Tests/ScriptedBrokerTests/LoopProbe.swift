// SPDX-License-Identifier: Apache-2.0

import Mosquitto

/// Runs on an event loop's thread and reads that thread's CPU clock.
actor LoopProbe {
    nonisolated let loop: MosquittoEventLoop

    init(_ loop: MosquittoEventLoop) { self.loop = loop }

    nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

    var cpuTime: Duration { SystemClock.ofThread }
}

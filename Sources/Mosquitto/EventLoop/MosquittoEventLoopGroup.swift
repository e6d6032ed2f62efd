// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// A group of event loops, for a process with more clients than one thread can serve.
///
/// Give each client the ``next()`` loop:
/// ```swift
/// let loops = MosquittoEventLoopGroup(threads: 4)
/// let clients = configurations.map { MQTTClient($0, eventLoop: loops.next()) }
/// ```
/// A client stays with its loop. A loop and its thread end when no client and no group retains the loop.
public final class MosquittoEventLoopGroup: Sendable {
    /// The loops, in the order in which ``next()`` returns them.
    public let eventLoops: [MosquittoEventLoop]

    private let handedOut = Atomic<UInt>(0)

    /// Creates a group and starts its threads.
    /// - Parameters:
    ///   - threads: number of threads, at least 1. One thread serves thousands of mostly idle clients. More threads
    ///     help with many messages or many simultaneous TLS handshakes, up to the number of cores.
    ///   - name: the name of the threads in debuggers, followed by `-1`, `-2` and so on; Linux keeps 15 bytes.
    public init(threads: Int, name: String = "mosquitto") {
        precondition(threads > 0, "a MosquittoEventLoopGroup needs at least one thread")
        eventLoops = (1...threads).map { MosquittoEventLoop(name: "\(name)-\($0)") }
    }

    /// Returns the next loop in turn. May be called on any thread.
    public func next() -> MosquittoEventLoop {
        let number = handedOut.wrappingAdd(1, ordering: .relaxed).oldValue
        return eventLoops[Int(number % UInt(eventLoops.count))]
    }
}

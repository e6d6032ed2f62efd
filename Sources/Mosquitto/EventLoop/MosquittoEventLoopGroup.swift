import Synchronization

/// A number of event loops, for a process with more clients than one thread can serve.
///
/// Give each client the ``next()`` loop:
/// ```swift
/// let loops = MosquittoEventLoopGroup(threads: 4)
/// let clients = configurations.map { MQTTClient($0, eventLoop: loops.next()) }
/// ```
/// A client stays with its loop. A loop ends, and its thread with it, when no client and no group holds it.
public final class MosquittoEventLoopGroup: Sendable {
    /// The loops, in the order in which ``next()`` hands them out.
    public let eventLoops: [MosquittoEventLoop]

    private let handedOut = Atomic<UInt>(0)

    /// Starts the threads.
    /// - Parameters:
    ///   - threads: how many; at least 1. One thread serves thousands of clients that are mostly idle, so more are for many
    ///     messages, or many TLS handshakes at a time, and more than the machine has cores are of no use.
    ///   - name: the threads' name in debuggers, with `-1`, `-2` and so on after it; 15 bytes are kept on Linux.
    public init(threads: Int, name: String = "mosquitto") {
        precondition(threads > 0, "a MosquittoEventLoopGroup needs at least one thread")
        eventLoops = (1...threads).map { MosquittoEventLoop(name: "\(name)-\($0)") }
    }

    /// The next loop, in turn. From any thread.
    public func next() -> MosquittoEventLoop {
        let number = handedOut.wrappingAdd(1, ordering: .relaxed).oldValue
        return eventLoops[Int(number % UInt(eventLoops.count))]
    }
}

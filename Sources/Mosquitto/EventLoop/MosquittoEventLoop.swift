// SPDX-License-Identifier: Apache-2.0

import CMosquittoShim
import DequeModule
import Synchronization

#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// A thread that serves the connections of any number of clients.
///
/// The thread sleeps until a socket, a timer or another thread needs it. All clients share ``shared`` by default. A
/// loop and its thread end when no client and no other object retains the loop.
public final class MosquittoEventLoop: SerialExecutor, Sendable {
    /// The default loop of all clients.
    public static let shared = MosquittoEventLoop(name: "mosquitto")

    let core: EventLoopCore

    /// Starts a thread.
    /// - Parameter name: the thread's name in debuggers; 15 bytes are kept on Linux.
    public init(name: String = "mosquitto") {
        core = EventLoopCore()
        core.start(name: name)
    }

    deinit { core.stop() }

    public func enqueue(_ job: consuming ExecutorJob) {
        core.enqueue(UnownedJob(job), on: self)
    }

    /// An executor that runs tasks on the loop's thread. Publishing and receiving in such a task wakes no other thread,
    /// which takes most of the time of a single message.
    ///
    /// ```swift
    /// try await withTaskExecutorPreference(MosquittoEventLoop.shared.taskExecutor) {
    ///     try await client.publish("on", to: "lamp")
    ///     try await client.publish("off", to: "lamp")
    /// }
    /// ```
    ///
    /// A task that computes for long or blocks delays every client of the loop: run it on a separate loop.
    public var taskExecutor: any TaskExecutor { LoopTaskExecutor(loop: self) }

    public func asUnownedSerialExecutor() -> UnownedSerialExecutor { UnownedSerialExecutor(ordinary: self) }

    /// Allows `assumeIsolated` in calls that the loop makes without a Swift job: readiness of sockets and timers.
    public func isIsolatingCurrentContext() -> Bool? { core.isCurrentThread }

    public func checkIsolated() {
        precondition(core.isCurrentThread, "not on the thread of this MosquittoEventLoop")
    }
}

/// Runs the jobs of tasks on a loop.
final class LoopTaskExecutor: TaskExecutor {
    private let loop: MosquittoEventLoop

    init(loop: MosquittoEventLoop) { self.loop = loop }

    func enqueue(_ job: consuming ExecutorJob) { loop.core.enqueue(UnownedJob(job), on: loop, self) }
}

/// A client of a loop. The loop calls all methods on its thread.
protocol EventLoopClient: AnyObject, Sendable {
    /// The socket that was registered with this token is ready.
    func socketReady(_ token: UInt64, _ events: PollEvents)
    /// ``EventLoopCore/schedule(_:)`` was called.
    func mailboxReady()
    /// The turn ends: all output of the turn can be written in one call.
    func turnEnded()
}

/// A loop's thread and all state confined to it.
///
/// `@unchecked Sendable`: the mailbox is locked; only the loop's thread accesses everything below "loop thread only".
final class EventLoopCore: @unchecked Sendable {
    private struct Job {
        let job: UnownedJob
        /// `nil` for a job of an actor.
        let taskExecutor: LoopTaskExecutor?
    }

    private struct Mailbox {
        var jobs: [Job] = []
        var clients: [any EventLoopClient] = []
        /// Keeps the executor alive while it has jobs that have not run.
        var executor: MosquittoEventLoop?
        var sleeping = false
        var stopping = false
        /// The name of the thread that the system could not create; the next job tries again.
        var missingThread: String?

        var isEmpty: Bool { jobs.isEmpty && clients.isEmpty && !stopping }
    }

    private let mailbox = Mutex(Mailbox())
    private let threadID = Atomic<UInt>(0)

    // Loop thread only. The poller is `nil` only if the process had no descriptor left at the start.
    private let poller: Poller?
    private var timers = TimerQueue()
    private let start = ContinuousClock.now
    private var clients: [UInt64: any EventLoopClient] = [:]
    private var lastToken: UInt64 = 0
    private var touched: [any EventLoopClient] = []
    /// Jobs left over from a turn. Later jobs wait behind them.
    private var jobs = Deque<Job>()
    private var executor: MosquittoEventLoop?
    /// The pending events of patient sockets; empty if there are none.
    private var patient: [UInt64: PollEvents] = [:]
    private var postponed = Deque<UInt64>()
    /// The time that a turn spends on jobs and patient sockets before it serves the others. A handshake takes most of a
    /// millisecond of computation, and thousands of clients may be in one at the same time.
    private static let slice = Duration.milliseconds(1)
    /// A buffer for bytes read from sockets; shared by all clients of the loop.
    let scratch = UnsafeMutableRawBufferPointer.allocate(byteCount: 65_536, alignment: 16)
    private var listener: LocalListener?
    /// `nil` while no client asks for it.
    private var networkWatch: NetworkWatch?

    init() { poller = Poller() }

    deinit {
        poller?.close()
        scratch.deallocate()
    }

    var isCurrentThread: Bool { threadID.load(ordering: .relaxed) == Self.currentThreadID }

    private static var currentThreadID: UInt {
        #if canImport(Darwin)
        UInt(bitPattern: pthread_self())
        #else
        UInt(pthread_self())
        #endif
    }

    // MARK: From any thread

    func start(name: String) {
        let isStarted = startThread(name: name) { [self] in run() }
        if !isStarted { mailbox.withLock { $0.missingThread = name } }
    }

    func stop() {
        wake { $0.stopping = true }
    }

    func enqueue(_ job: UnownedJob, on executor: MosquittoEventLoop, _ taskExecutor: LoopTaskExecutor? = nil) {
        wake {
            $0.jobs.append(Job(job: job, taskExecutor: taskExecutor))
            if $0.executor == nil { $0.executor = executor }
        }
    }

    /// Schedules a call of `client.mailboxReady()` on the loop's thread. The client coalesces its calls.
    func schedule(_ client: any EventLoopClient) {
        wake { $0.clients.append(client) }
    }

    private func wake(_ change: (inout sending Mailbox) -> Void) {
        let (needed, missing) = mailbox.withLock { mailbox in
            change(&mailbox)
            defer {
                mailbox.sleeping = false
                mailbox.missingThread = nil
            }
            return (mailbox.sleeping, mailbox.missingThread)
        }
        if needed { poller?.wake() }
        if let missing { start(name: missing) }
    }

    // MARK: Loop thread only

    /// True if the loop can watch sockets.
    var isUsable: Bool { poller != nil }

    /// - Parameter isPatient: true if the socket yields to others until ``hurry(_:)``, since it is not connected yet.
    func register(
        _ socket: Int32, client: any EventLoopClient, interest: PollEvents, isPatient: Bool = false
    ) -> UInt64? {
        lastToken += 1
        guard let poller, poller.add(socket, token: lastToken, interest: interest) else { return nil }
        clients[lastToken] = client
        if isPatient { patient[lastToken] = [] }
        return lastToken
    }

    /// Ends the patience of a socket.
    func hurry(_ token: UInt64) { patient[token] = nil }

    func setInterest(_ socket: Int32, token: UInt64, _ interest: PollEvents) {
        poller?.modify(socket, token: token, interest: interest)
    }

    /// Must be called before the socket is closed. Readiness already reported for the token is ignored from now on.
    func unregister(_ socket: Int32, token: UInt64) {
        poller?.remove(socket)
        clients[token] = nil
        patient[token] = nil
    }

    func setTimer(after delay: Duration, _ action: @escaping () -> Void) -> TimerID {
        timers.add(at: ContinuousClock.now + delay.clampedToWait, action)
    }

    /// Sets a timer that may fire up to a quarter of a second early, together with others: thousands of them wake the
    /// loop only a few times a second.
    func setLooseTimer(after delay: Duration, _ action: @escaping () -> Void) -> TimerID {
        let due = (ContinuousClock.now + delay.clampedToWait) - start
        let grid = Duration.milliseconds(250)
        return timers.add(at: start + grid * Int(due / grid), action)
    }

    func cancelTimer(_ id: TimerID) { timers.cancel(id) }

    /// Returns the listener for connections within this process: the one of earlier calls, if it lasts. Throws the
    /// `errno` of the failed call.
    func localListener() throws(SystemCallError) -> LocalListener {
        if let listener { return listener }
        let made = if let unix = LocalListener() { unix } else { try LocalListener(loopback: ()) }
        if made.isLasting { listener = made }
        return made
    }

    /// Replaces a listener that could not be reached, and returns the new one, which needs neither a folder nor
    /// `/proc`.
    func replaceLocalListener() throws(SystemCallError) -> LocalListener {
        let made = try LocalListener(loopback: ())
        listener = made
        return made
    }

    /// Tells the observer of changes of the network, until ``unwatchNetwork(for:)``. Throws the `errno` of the failed
    /// call.
    func watchNetwork(for observer: any NetworkObserver) throws(SystemCallError) {
        let watch: NetworkWatch = if let networkWatch { networkWatch } else { try NetworkWatch(self) }
        watch.add(observer)
        networkWatch = watch
    }

    func unwatchNetwork(for observer: any NetworkObserver) {
        guard let networkWatch else { return }
        networkWatch.remove(observer)
        if networkWatch.hasObservers { return }
        networkWatch.close()
        self.networkWatch = nil
    }

    /// Schedules one call of `client.turnEnded()` at the end of this turn. The client coalesces its calls.
    func callAtEndOfTurn(_ client: any EventLoopClient) { touched.append(client) }

    private func run() {
        threadID.store(Self.currentThreadID, ordering: .relaxed)
        // The loop was released by its last owner, so no client is left: each client retains the loop.
        while runTurn() { sleep() }
    }

    /// Runs all work that is due. Returns true if the loop continues. The executor is retained only while it has jobs.
    private func runTurn() -> Bool {
        let (scheduled, stopping) = mailbox.withLock { mailbox in
            defer {
                mailbox.jobs.removeAll(keepingCapacity: true)
                mailbox.clients.removeAll(keepingCapacity: true)
                mailbox.executor = nil
            }
            jobs.append(contentsOf: mailbox.jobs)
            if let executor = mailbox.executor { self.executor = executor }
            return (mailbox.clients, mailbox.stopping)
        }
        runJobs()
        runPostponed()
        for client in scheduled { client.mailboxReady() }
        let now = ContinuousClock.now
        while let action = timers.popDue(now) { action() }
        // Clients added by these calls wait for the next turn: a client with much work does not delay the others.
        let round = touched
        touched.removeAll(keepingCapacity: true)
        for client in round { client.turnEnded() }
        return !stopping
    }

    private func runJobs() {
        guard let executor, !jobs.isEmpty else { return }
        let unowned = executor.asUnownedSerialExecutor()
        let end = jobs.count > 1 ? ContinuousClock.now + Self.slice : nil
        while let job = jobs.popFirst() {
            if let taskExecutor = job.taskExecutor {
                job.job.runSynchronously(on: taskExecutor.asUnownedTaskExecutor())
            } else {
                job.job.runSynchronously(on: unowned)
            }
            if let end, ContinuousClock.now >= end { break }
        }
        if jobs.isEmpty { self.executor = nil }
    }

    private func runPostponed() {
        guard !postponed.isEmpty else { return }
        let end = ContinuousClock.now + Self.slice
        while let token = postponed.popFirst() {
            // The socket may be unregistered by now, or no longer patient: then its events are reported again.
            guard let events = patient[token] else { continue }
            patient[token] = []
            clients[token]?.socketReady(token, events)
            if ContinuousClock.now >= end { break }
        }
    }

    private func ready(_ token: UInt64, _ events: PollEvents) {
        guard let earlier = patient[token] else {
            clients[token]?.socketReady(token, events)
            return
        }
        if earlier.isEmpty { postponed.append(token) }
        patient[token] = earlier.union(events)
    }

    private func sleep() {
        let limit: Poller.Limit = timers.nextDeadline().map { .at($0) } ?? .never
        let mayBlock = mailbox.withLock { mailbox in
            mailbox.sleeping = mailbox.isEmpty
            return mailbox.sleeping
        }
        guard let poller else {
            // Without a poller no client runs, and the jobs of callers that try to start one are the only work.
            usleep(20_000)
            return
        }
        let isDone = touched.isEmpty && jobs.isEmpty && postponed.isEmpty
        poller.wait(until: mayBlock && isDone ? limit : .now) { ready($0, $1) }
        mailbox.withLock { $0.sleeping = false }
    }
}

// SPDX-License-Identifier: Apache-2.0

public import Logging
import Synchronization

#if ServiceLifecycle
import ServiceLifecycle
#endif

/// Clients that share the messages of some filters: each message goes to one of them (MQTT 5.0, section 4.8.2).
///
/// ```swift
/// let group = MQTTConsumerGroup(configuration, group: "ingest", filters: ["sensors/#"], members: 4) { member in
///     for await message in member.messages { try await store(message) }
/// }
/// ```
///
/// Each member is an ``MQTTClient`` of its own, with the client identifier "NAME-0", "NAME-1" and so on, a persistent
/// session, and ``MQTTAcknowledgement/afterHandling``: a message that a member has not handled is delivered again, to
/// the same member when it is back. A group must be run: by
/// ``withMQTTConsumerGroup(_:group:filters:members:options:logger:member:during:)``, a task that calls ``run()``, or a
/// `ServiceGroup`.
public final class MQTTConsumerGroup: Sendable {
    private struct State {
        var machine: ConsumerGroupStateMachine
        /// True after the first call of ``MQTTConsumerGroup/run()``.
        var isClaimed = false
        var runs: [Int: GroupMemberRun] = [:]
        /// Calls that wait until the group has settled or ended, by number.
        var waiting: [Int: CheckedContinuation<Void, any Error>] = [:]
        var lastWaiting = 0
    }

    private let plan: GroupPlan
    private let logger: Logger
    private let body: @Sendable (MQTTGroupMember) async throws -> Void
    private let state: Mutex<State>
    private let actions: AsyncStream<ConsumerGroupStateMachine.Action>
    private let queue: AsyncStream<ConsumerGroupStateMachine.Action>.Continuation

    /// Creates a group that is not yet running. Everything is validated when the group starts, before any I/O.
    ///
    /// - Parameters:
    ///   - configuration: the configuration of each member. The group sets the client identifier and the
    ///     acknowledgement, and ``MQTTSession/persistent`` if the session is clean.
    ///   - group: the share name, without "/", "+" and "#".
    ///   - filters: the filters, without `$share/GROUP/`.
    ///   - members: number of members in this process, 0 to 1,024.
    ///   - options: the names of the members, their buffers and their event loops.
    ///   - logger: the logger of the group and its members.
    ///   - member: the body of each member, called once for each, at the same time.
    public init(
        _ configuration: MQTTClientConfiguration, group: String, filters: [MQTTSubscription], members: Int,
        options: MQTTConsumerGroupOptions = .init(), logger: Logger = Logger(label: "mosquitto"),
        member: @escaping @Sendable (MQTTGroupMember) async throws -> Void
    ) {
        plan = GroupPlan(configuration: configuration, group: group, filters: filters, options: options)
        self.logger = logger
        body = member
        state = Mutex(State(machine: ConsumerGroupStateMachine(target: members)))
        (actions, queue) = AsyncStream.makeStream()
    }

    /// Runs the members until the group is shut down, or until the bodies of all members have returned.
    ///
    /// Throws the first error of a member, after the others have been shut down gracefully: of its body, or an
    /// ``MQTTError`` that stopped its client. A broker without shared subscriptions is an
    /// ``MQTTError/Code/operationRefused`` with ``MQTTReasonCode/sharedSubscriptionsNotSupported``: before SUBSCRIBE if
    /// its CONNACK says so. MQTT 3.1.1 is ``MQTTError/Code/unsupported``; see
    /// ``MQTTConsumerGroupOptions/assumesSharedSubscriptions``. Throws ``MQTTError/Code/cancelled`` if the task is
    /// cancelled, and ``MQTTError/Code/alreadyRunning`` at a second call.
    public func run() async throws {
        let members: Int? = state.withLock { state in
            guard state.machine.isIdle, !state.isClaimed else { return nil }
            state.isClaimed = true
            return state.machine.target
        }
        guard let members else {
            throw MQTTError(.alreadyRunning, "the group was run or shut down before; make a new one")
        }
        do throws(MQTTError) {
            try plan.validate(members)
        } catch {
            // The group is over for those that wait for its members.
            decide { $0.shutDown() }
            throw error
        }
        await withGracefulShutdownHandler {
            await withDiscardingTaskGroup { tasks in
                decide { $0.start() }
                for await action in actions {
                    guard action != .finish else { break }
                    perform(action, in: &tasks)
                }
            }
        } onGracefulShutdown: {
            self.decide { $0.shutDown() }
        }
        if !hasEnded {
            decide { machine in
                machine.cancelled()
                return []
            }
        }
        let failure = state.withLock { $0.machine.failure }
        // The cancellation that a body was told of is that of the run.
        if let failure, !(Task.isCancelled && failure is CancellationError) { throw failure }
        if Task.isCancelled { throw MQTTError(.cancelled, "run() was cancelled") }
    }

    /// Changes the number of members, and returns when each new member consumes and each surplus one has left.
    ///
    /// The members with the highest numbers leave: a member unsubscribes, handles all that the broker still has for its
    /// session, and ends the session. Without a connection it waits for the next one. If the task is cancelled, the
    /// call throws ``MQTTError/Code/cancelled``, and the change continues. A group that does not run yet begins with
    /// this number.
    ///
    /// - Throws: ``MQTTError/Code/invalidConfiguration`` for a number that is not from 0 to 1,024;
    ///   ``MQTTError/Code/stopped`` if the group ends; the error of a member that could not leave, whose session stays.
    public func scale(to members: Int) async throws {
        try plan.validate(count: members)
        decide { $0.scale(to: members) }
        if state.withLock({ $0.machine.isIdle }) { return }
        try await waitUntilSettled()
    }

    /// Returns when each member consumes: the broker has granted all subscriptions. Throws
    /// ``MQTTError/Code/stopped`` if the group ends, and ``MQTTError/Code/cancelled``.
    public func waitUntilConsuming() async throws { try await waitUntilSettled() }

    /// Shuts the group down: the sequence of each member ends after the messages received so far, its body returns, and
    /// its client acknowledges them and disconnects. The sessions stay, for the next run. Returns when all have
    /// stopped, which takes as long as the bodies do.
    public func shutdown() async {
        decide { $0.shutDown() }
        // Ends with an error, whichever it is: the group is over then.
        try? await waitUntilSettled()
    }

    /// The members that have begun and not ended, by their numbers.
    public var members: [MQTTGroupMemberStatus] {
        state.withLock { state in
            state.machine.members.sorted { $0.key < $1.key }.compactMap { index, phase in
                guard let run = state.runs[index] else { return nil }
                return MQTTGroupMemberStatus(
                    number: plan.number(index), clientID: run.client.configuration.effectiveClientID,
                    phase: MQTTGroupMemberStatus.Phase(phase), connection: run.client.state, received: run.received)
            }
        }
    }

    var hasEnded: Bool { state.withLock { $0.machine.hasEnded } }

    // MARK: Deciding and acting

    /// Lets the machine decide, and resumes the calls for which the group has settled or ended.
    private func decide(_ event: (inout ConsumerGroupStateMachine) -> [ConsumerGroupStateMachine.Action]) {
        let (settled, error) = state.withLock { state in
            for action in event(&state.machine) { queue.yield(action) }
            let hasEnded = state.machine.hasEnded
            guard state.machine.isSettled || hasEnded, !state.waiting.isEmpty else {
                return ([] as [CheckedContinuation<Void, any Error>], nil as (any Error)?)
            }
            defer { state.waiting = [:] }
            let error = hasEnded ? Self.stopped : state.machine.takeLeavingError()
            return (Array(state.waiting.values), error)
        }
        for caller in settled {
            if let error { caller.resume(throwing: error) } else { caller.resume() }
        }
    }

    private func perform(_ action: ConsumerGroupStateMachine.Action, in tasks: inout DiscardingTaskGroup) {
        switch action {
        case .start(let index):
            do throws(MQTTError) {
                let run = try GroupMemberRun(plan, index, logger: logger)
                state.withLock { $0.runs[index] = run }
                tasks.addTask { await self.run(run, index) }
            } catch {
                decide { $0.ended(index, error) }
            }
        case .leave(let index):
            if let run = state.withLock({ $0.runs[index] }) { tasks.addTask { await run.leave() } }
        case .retire(let index):
            if let run = state.withLock({ $0.runs[index] }) { tasks.addTask { await run.retire() } }
        case .finish: break
        }
    }

    private func run(_ run: GroupMemberRun, _ index: Int) async {
        var failure: (any Error)?
        do {
            try await run.run(joined: { self.joined(index) }, body)
        } catch {
            failure = error
        }
        state.withLock { $0.runs[index] = nil }
        decide { $0.ended(index, failure) }
    }

    private func joined(_ index: Int) {
        decide { machine in
            machine.joined(index)
            return []
        }
    }

    private func waitUntilSettled() async throws {
        let number = state.withLock { state in
            state.lastWaiting += 1
            return state.lastWaiting
        }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let outcome: Result<Void, any Error>? = state.withLock { state in
                    if Task.isCancelled { return .failure(Self.cancelled) }
                    if state.machine.hasEnded { return .failure(Self.stopped) }
                    if state.machine.isSettled {
                        return state.machine.takeLeavingError().map { .failure($0) } ?? .success(())
                    }
                    state.waiting[number] = continuation
                    return nil
                }
                if let outcome { continuation.resume(with: outcome) }
            }
        } onCancel: {
            let caller = state.withLock { $0.waiting.removeValue(forKey: number) }
            caller?.resume(throwing: Self.cancelled)
        }
    }

    private static var stopped: MQTTError { MQTTError(.stopped, "the group has ended") }
    private static var cancelled: MQTTError { MQTTError(.cancelled, "the call was cancelled") }
}

extension MQTTConsumerGroup: CustomStringConvertible, CustomReflectable {
    public var description: String { "MQTTConsumerGroup(\(quoted(plan.group)))" }

    /// The mirror that `dump` shows. What the group holds may be secret.
    public var customMirror: Mirror { Mirror(self, children: ["group": plan.group], displayStyle: .class) }
}

extension MQTTGroupMemberStatus.Phase {
    init(_ phase: ConsumerGroupStateMachine.MemberPhase) {
        switch phase {
        case .joining: self = .joining
        case .consuming: self = .consuming
        case .leaving: self = .leaving
        case .stopping: self = .stopping
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

import DequeModule
import Logging
import OrderedCollections
import Synchronization

#if ServiceLifecycle
import ServiceLifecycle
#endif

/// Performs the decisions of ``SessionStateMachine``. libmosquitto opens each session; Swift carries it. An actor on
/// its loop's thread: calls into libmosquitto, and into OpenSSL for a connection, run on this actor, and the loop
/// enters it without a Swift job.
actor Session {
    let configuration: MQTTClientConfiguration
    nonisolated let eventLoop: MosquittoEventLoop
    nonisolated let shared: SharedState
    let logger: Logger

    var machine: SessionStateMachine
    /// The decisions that were not performed yet.
    private var work = SessionWork()
    var timers: SessionTimers

    // Connecting (Session+Connecting)
    var dialer: Dialer
    var link: Link?

    // Credentials (Session+Credentials)
    var keeper: CredentialKeeper

    // Publishing (Session+Publishing)
    var publisher: Publisher

    // Subscribing (Session+Subscriptions)
    var subscriber: Subscriber
    var inbox: Inbox

    // Suspects (Session+Suspects)
    var suspects = Suspects()

    // Delivering (Session+Delivering)
    /// The memory of the last packets, for reuse.
    var emptyPackets: [ServerPacket] = []

    // Waiting (Session+Waiting)
    var waiters = Waiters()
    var ending = SessionEnding()

    var reporter: SessionReporter

    init(
        _ configuration: MQTTClientConfiguration, eventLoop: MosquittoEventLoop, shared: SharedState, logger: Logger,
        resolve: @escaping @Sendable (String) async -> Resolver.Answer
    ) {
        MosquittoLibrary.initialize
        self.configuration = configuration
        self.eventLoop = eventLoop
        self.shared = shared
        var logger = logger
        logger[metadataKey: "mqtt.client_id"] = "\(configuration.effectiveClientID)"
        self.logger = logger
        timers = SessionTimers(eventLoop.core)
        dialer = Dialer(configuration, loop: eventLoop.core, logger: self.logger, resolve: resolve)
        reporter = SessionReporter(shared, logger: logger, configuration)
        keeper = CredentialKeeper(configuration)
        let identifiers = PacketIdentifiers()
        publisher = Publisher(
            Publisher.Configuration(configuration), queue: shared.queue, identifiers: identifiers, logger: logger,
            metrics: shared.metrics)
        subscriber = Subscriber(Subscriber.Configuration(configuration), identifiers, logger: logger)
        inbox = Inbox(
            Inbox.Configuration(configuration, countsDropped: shared.metrics != nil), logger: logger)
        machine = SessionStateMachine(SessionStateMachine.Configuration(configuration))
        let receipts = inbox.receipts
        receipts.whenSettled { [weak self] in
            guard let self else { return }
            self.loop.schedule(self)
        }
    }

    nonisolated var unownedExecutor: UnownedSerialExecutor { eventLoop.asUnownedSerialExecutor() }

    nonisolated var loop: EventLoopCore { eventLoop.core }

    nonisolated var metrics: ClientMetrics? { shared.metrics }

    // MARK: Running

    /// Returns true if this call is the one that may run the session.
    nonisolated func claimRun() -> Bool {
        shared.isClaimed.compareExchange(expected: false, desired: true, ordering: .relaxed).exchanged
    }

    nonisolated func run() async throws(MQTTError) {
        guard claimRun() else { throw MQTTError(.alreadyRunning, "run() was called before; make a new client") }
        try await runClaimed()
    }

    /// Runs the session after a successful ``claimRun()``.
    nonisolated func runClaimed() async throws(MQTTError) {
        let invalid: MQTTError?
        do throws(MQTTError) {
            try configuration.validate()
            invalid = nil
        } catch {
            invalid = error
        }
        let result = await withTaskCancellationHandler {
            await withGracefulShutdownHandler {
                await self.runUntilStopped(invalid)
            } onGracefulShutdown: {
                self.shared.isEndedByGroup.store(true, ordering: .releasing)
                Task { await self.shutDownWithGroup() }
            }
        } onCancel: {
            Task { await self.shutDown(isGraceful: false) }
        }
        try result.get()
        if Task.isCancelled { throw MQTTError(.cancelled, "run() was cancelled") }
    }

    func runInBackground() async {
        _ = await runUntilStopped(nil)
    }

    private func runUntilStopped(_ invalid: MQTTError?) async -> Result<Void, MQTTError> {
        metrics?.levels = { [weak self] in self?.assumeIsolated { $0.levels } ?? (0, 0) }
        if configuration.acknowledgement == .afterHandling, configuration.session == .clean,
            configuration.connect.cleanSessionExpiry == .zero
        {
            logger.warning(
                """
                acknowledgement .afterHandling with a clean session: what is not handled when a connection ends does not come \
                again; it needs session .persistent
                """)
        }
        return await withCheckedContinuation { continuation in
            waiters.addForStop(continuation)
            if case .stopped = machine.state {
                // Shut down before it ran.
                finish(nil)
            } else if let invalid {
                perform(machine.stop(invalid))
            } else if !loop.isUsable {
                perform(machine.stop(MQTTError(.system, "the event loop has no file descriptor for its poller")))
            } else {
                watchNetwork()
                perform(machine.start(now: .now))
                // Shut down before it ran, with messages to send: this attempt is for them.
                if ending.isGraceful { shutDown(isGraceful: true) }
            }
        }
    }

    /// Stops the client, with or without waiting for acknowledgements. Returns when it has stopped. Throws
    /// ``MQTTError/Code/unsent`` if messages were lost.
    func shutDownAndWait(isGraceful: Bool, _ disconnect: MQTTDisconnect? = nil) async throws(MQTTError) {
        if let disconnect { ending.disconnect = disconnect }
        shutDown(isGraceful: isGraceful)
        if case .stopped = machine.state {} else { _ = await withCheckedContinuation { waiters.addForStop($0) } }
        if let unsent = ending.unsent { throw unsent }
    }

    /// Shuts the client down as part of a service group. The group shuts its services down one after the other, and
    /// treats a service that ends before its turn as failed. Consumers therefore continue until they are shut down
    /// themselves, or for ``MQTTTimeouts/drain``.
    private func shutDownWithGroup() {
        ending.outlivingTime = configuration.timeouts.drain
        shutDown(isGraceful: true)
    }

    private func shutDown(isGraceful: Bool) {
        if isGraceful {
            ending.isGraceful = true
            if case .idle = machine.state, shared.isClaimed.load(ordering: .relaxed), publisher.hasMessages { return }
        }
        perform(machine.shutdown(isGraceful: isGraceful, hasUnsent: publisher.hasMessages, now: .now))
    }

    /// Stops the session after the last reference to the client was released.
    nonisolated func abandon() {
        Task { await self.shutDown(isGraceful: false) }
    }

    // MARK: Performing

    /// Performs decisions one after the other. Further ones that an action causes are performed after all of these.
    func perform(_ actions: [SessionStateMachine.Action]) {
        work.actions.append(contentsOf: actions)
        guard work.begin() else { return }
        while let action = work.actions.popFirst() { perform(action) }
        work.end()
        reporter.tellState(machine)
    }

    private func perform(_ action: SessionStateMachine.Action) {
        switch action {
        case .emit(let kind): emit(kind)
        case .setOffline(let isOffline): setOffline(isOffline)
        case .fetchCredentials(let attempt): fetchCredentials(attempt)
        case .dial: dial()
        case .requestTurn(let endpoint): requestTurn(endpoint)
        case .tearDown: tearDown()
        case .establish(let info): establish(info)
        case .reauthenticate: reauthenticate()
        case .finishRotation: waiters.rotated(.success(()))
        case .drain: drain()
        case .disconnect: disconnect()
        case .countUnsent: countUnsent()
        case .setTimer(let timer, let delay): setTimer(.machine(timer), after: delay) { $0.timerFired(timer) }
        case .cancelTimer(let timer): timers.cancel(.machine(timer))
        case .finish(let error): finish(error)
        }
    }

    /// Reports an event.
    func emit(_ kind: MQTTConnectionEvent.Kind) { reporter.tell(kind, machine) }

    /// Number of messages in flight, and of waiting messages.
    private var levels: (inFlight: Int, queued: Int) {
        let inFlight = publisher.inFlight.count
        return (inFlight, publisher.count - inFlight)
    }

    private func requestTurn(_ endpoint: MQTTEndpoint) {
        let wait = keeper.wait(before: machine.purpose)
        if wait > .zero {
            logger.info(
                "the credential provider is left alone for a while",
                metadata: ["mqtt.retry_in": "\(wait.inMilliseconds)"])
            return perform(machine.postponed(by: wait))
        }
        perform(machine.mayDial(after: configuration.retry.budget?.reserve(endpoint, now: .now) ?? .zero))
    }

    /// Ends the current delay, and resets the following ones.
    func reconnectNow() { perform(machine.reconnectNow()) }

    /// Runs the action after the delay, unless the timer is set again or cancelled before.
    func setTimer(
        _ name: SessionTimers.Name, after delay: Duration, isLoose: Bool = false,
        _ action: @escaping @Sendable (isolated Session) -> Void
    ) {
        timers.set(name, after: delay, isLoose: isLoose) { [weak self] in
            self?.assumeIsolated { session in
                session.timers.fired(name)
                action(session)
            }
        }
    }

    /// Schedules the turn's packets to be written at its end.
    func needsFlush() {
        guard !work.isInTurn else { return }
        work.isInTurn = true
        loop.callAtEndOfTurn(self)
    }

    func endTurn() {
        work.isInTurn = false
        flush()
        metrics?.turnEnded()
    }

    private func timerFired(_ timer: SessionStateMachine.Timer) {
        // A refusal whose body is late counts before the deadline.
        if timer == .phase || timer == .attempt, connection != nil,
            !drive({ connection throws(MQTTError) in try connection.endRefusal() })
        {
            return
        }
        let isEnding = timer == .drain || timer == .close
        var hasMoved = isEnding && connection?.hasMoved() ?? false
        if timer == .drain {
            let (hasAnswers, hasReleases) = (publisher.hasProgressed(), inbox.hasProgressed())
            hasMoved = hasMoved || hasAnswers || hasReleases
        } else if connection?.isPromiseOpen != true {
            hasMoved = false
        }
        // A caller that keeps publishing must not prolong a shutdown for ever.
        if timer == .drain, hasMoved, case .draining(.shutdown) = machine.state {
            shared.queue.refuse(Self.shuttingDown)
        }
        perform(machine.timerFired(timer, hasMoved: hasMoved, now: .now))
    }

    private static var shuttingDown: MQTTError {
        MQTTError(.stopped, "the client is shutting down, and takes no more messages")
    }

    private func finish(_ error: MQTTError?) {
        loop.unwatchNetwork(for: self)
        dialer.stop()
        keeper.stop()
        timers.cancel(.expiry, .drops, .unclaimed, .resending)
        suspects = Suspects()
        let reason = error ?? MQTTError(.stopped, "the client has stopped")
        publisher.stop(reason)
        inbox.leaveUnread(subscriber.table.consumers)
        carryOut(subscriber.failUnsubscribing(reason))
        if error == nil, let outlivingTime = ending.outlivingTime {
            _ = loop.setTimer(after: outlivingTime) { [weak self] in
                self?.assumeIsolated { $0.failSubscriptions(reason, isQuiet: true) }
            }
        } else {
            failSubscriptions(reason, isQuiet: error == nil && ending.isGraceful)
        }
        waiters.stopped(error, reason)
    }
}

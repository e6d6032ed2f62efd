import DequeModule
import Logging
import OrderedCollections
import ServiceLifecycle
import Synchronization

/// Performs what ``SessionStateMachine`` decides. An actor on its loop's thread: every call into libmosquitto and
/// OpenSSL for a client is made here, and the loop enters it without a Swift job.
actor Session {
    let configuration: MQTTClientConfiguration
    nonisolated let eventLoop: MosquittoEventLoop
    nonisolated let shared: SharedState
    let logger: Logger

    var machine: SessionStateMachine
    /// Decisions that are not carried out yet.
    private var work = SessionWork()
    var timers: SessionTimers

    // Connecting (Session+Connecting)
    var dialer: Dialer
    var link: Link?

    // Credentials (Session+Credentials)
    var keeper: CredentialKeeper

    // Publishing (Session+Publishing)
    var publisher: Publisher
    /// Releases that came since the drain timer was set.
    var releases = 0
    /// QoS 2 messages that a shutdown waits for the broker to release.
    var unfinished: Set<UInt16> = []

    // Subscribing (Session+Subscribing)
    var subscriptions = SubscriptionTable()
    var subscribing: [SubscribeOperation] = []
    var unclaimed = UnclaimedMessages()
    /// Topics of messages that nobody took, and that are left to the broker until the next connection.
    var givenBack: [UInt16: String] = [:]
    /// How many unclaimed messages the log has told of.
    var warnedOfUnclaimed = 0
    /// Filters that were ended explicitly in this session.
    var endedFilters: OrderedSet<MQTTTopicFilter> = []
    /// How many messages consumers have left to the broker since the connection began (Session+Resending).
    var abandoned = 0
    var isResendingDemanded = false
    var lastResending: ContinuousClock.Instant?
    var resendingDelay = Duration.zero
    /// SUBSCRIBE packets of a reconnect, for which nobody waits.
    var restoring: [UInt16: Restoration] = [:]
    /// Filters of which a consumer was told that they are refused.
    var refusedFilters: Set<String> = []
    var unsubscribing: [UnsubscribeOperation] = []
    /// UNSUBSCRIBE packets under way.
    var unanswered: [UInt16: [String]] = [:]

    // Suspects (Session+Suspects)
    var suspects = Suspects()
    /// The largest number of filters in a packet: less than configured if a broker closed over more.
    var maximumFilters: Int

    // Delivering (Session+Delivering)
    /// The memory of what a connection told last.
    var emptyPackets: [ServerPacket] = []
    var unreleased: [UInt16: UnreleasedMessage] = [:]
    /// QoS 1 messages whose acknowledgement waits for their consumers.
    var handling: [UInt16: MessageUnderHandling] = [:]
    /// True if a message is acknowledged as soon as a consumer has it, and held while none has.
    let acknowledgesOnDelivery: Bool
    /// Whether it is worth looking which consumer is full.
    var mayHaveFullConsumer = false
    nonisolated let settledReceipts = Mutex([Receipt]())

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
        reporter = SessionReporter(shared, logger: logger, tls: configuration.tls)
        keeper = CredentialKeeper(configuration)
        acknowledgesOnDelivery = configuration.acknowledgesOnDelivery
        maximumFilters = configuration.maximumFiltersPerSubscribe
        publisher = Publisher(
            Publisher.Configuration(configuration), queue: shared.queue, logger: logger, metrics: shared.metrics)
        machine = SessionStateMachine(SessionStateMachine.Configuration(configuration))
    }

    nonisolated var unownedExecutor: UnownedSerialExecutor { eventLoop.asUnownedSerialExecutor() }

    nonisolated var loop: EventLoopCore { eventLoop.core }

    nonisolated var metrics: ClientMetrics? { shared.metrics }

    // MARK: Running

    /// Returns whether this call is the one that may run the session.
    nonisolated func claimRun() -> Bool {
        shared.isClaimed.compareExchange(expected: false, desired: true, ordering: .relaxed).exchanged
    }

    nonisolated func run() async throws(MQTTError) {
        guard claimRun() else { throw MQTTError(.alreadyRunning, "run() was called before; make a new client") }
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
        if configuration.acknowledgement == .afterHandling, configuration.session == .clean {
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
                perform(machine.start(now: .now))
            }
        }
    }

    /// Ends the client, with or without waiting for acknowledgements. Returns when it has ended.
    /// Throws ``MQTTError/Code/unsent`` if messages were lost by it.
    func shutDownAndWait(isGraceful: Bool, _ disconnect: MQTTDisconnect? = nil) async throws(MQTTError) {
        if let disconnect { ending.disconnect = disconnect }
        shutDown(isGraceful: isGraceful)
        if case .stopped = machine.state {} else { _ = await withCheckedContinuation { waiters.addForStop($0) } }
        if let unsent = ending.unsent { throw unsent }
    }

    /// The service group ends its services one after the other, and takes it for a failure if another one ends before
    /// its turn. So consumers go on until they are shut down themselves, or for ``MQTTTimeouts/drain``.
    private func shutDownWithGroup() {
        ending.outlivingTime = configuration.timeouts.drain
        shutDown(isGraceful: true)
    }

    private func shutDown(isGraceful: Bool) {
        if isGraceful { ending.isGraceful = true }
        perform(machine.shutdown(isGraceful: isGraceful, hasUnsent: publisher.hasMessages, now: .now))
    }

    /// The last reference to the client is gone.
    nonisolated func abandon() {
        Task { await self.shutDown(isGraceful: false) }
    }

    // MARK: Performing

    /// Carries out decisions, one after the other. An action may bring further ones: these come after all before them.
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
        case .dial(let endpoint): dial(endpoint)
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

    /// Tells an event.
    func emit(_ kind: MQTTConnectionEvent.Kind) { reporter.tell(kind, machine) }

    /// The messages in flight, and those that wait.
    private var levels: (inFlight: Int, queued: Int) {
        let inFlight = publisher.inFlight.count
        return (inFlight, publisher.count - inFlight)
    }

    private func requestTurn(_ endpoint: MQTTEndpoint) {
        let wait = keeper.wait(before: machine.purpose)
        if wait > .zero {
            logger.info("the credential provider is left alone for a while", metadata: ["mqtt.retry_in": "\(wait)"])
            return perform(machine.postponed(by: wait))
        }
        perform(machine.mayDial(after: configuration.retry.budget?.reserve(endpoint, now: .now) ?? .zero))
    }

    /// Ends a delay, and lets the next ones start afresh.
    func reconnectNow() { perform(machine.reconnectNow()) }

    /// Does this when the time has come, unless the timer is set anew or cancelled before.
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

    /// Has the turn's packets written when it ends.
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
        let isEnding = timer == .drain || timer == .close
        var hasMoved = isEnding && connection?.hasMoved() ?? false
        if timer == .drain {
            let hasProgressed = publisher.hasProgressed() || releases > 0
            hasMoved = hasMoved || hasProgressed
            releases = 0
        } else if connection?.isPromiseOpen != true {
            hasMoved = false
        }
        // Who goes on publishing does not prolong a shutdown for ever.
        if timer == .drain, hasMoved, case .draining(.shutdown) = machine.state {
            shared.queue.refuse(Self.shuttingDown)
        }
        perform(machine.timerFired(timer, hasMoved: hasMoved, now: .now))
    }

    private static var shuttingDown: MQTTError {
        MQTTError(.stopped, "the client is shutting down, and takes no more messages")
    }

    private func finish(_ error: MQTTError?) {
        dialer.stop()
        keeper.stop()
        timers.cancel(.expiry, .drops, .unclaimed, .resending)
        suspects = Suspects()
        let reason = error ?? MQTTError(.stopped, "the client has stopped")
        publisher.stop(reason)
        leaveUnreadToBroker()
        failUnsubscribing(reason)
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

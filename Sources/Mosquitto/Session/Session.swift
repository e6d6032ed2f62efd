import DequeModule
import Logging
import OrderedCollections
import ServiceLifecycle
import Synchronization

/// Performs what ``SessionStateMachine`` decides. An actor on its loop's thread: every call into libmosquitto and OpenSSL
/// for a client is made here, and the loop enters it without a Swift job.
actor Session {
    let configuration: MQTTClientConfiguration
    nonisolated let eventLoop: MosquittoEventLoop
    nonisolated let shared: SharedState
    let logger: Logger
    /// Looks a name up; another one in tests.
    let resolve: @Sendable (String) async -> Resolver.Answer

    var machine: SessionStateMachine
    private var timers: [SessionStateMachine.Timer: TimerID] = [:]
    /// Goes up with every attempt and connection: what comes late for an earlier one is ignored.
    var generation = 0

    // Connecting (Session+Connecting)
    var race: ConnectRace?
    var addressMemory = AddressMemory()
    var raceTimer: TimerID?
    var tls: TLSContext?
    /// From the dialling to the CONNACK.
    var opening: Opening?
    var connection: Connection?
    var token: UInt64?
    var interest: PollEvents = []
    var keepAliveTimer: TimerID?

    // Credentials (Session+Credentials)
    var keeper: CredentialKeeper

    // Publishing (Session+Publishing)
    var publisher: Publisher
    var expiryTimer: TimerID?
    var dropTimer: TimerID?
    var isDraining = false
    var hasSentDisconnect = false
    /// Releases that came since the drain timer was set.
    var releases = 0
    /// QoS 2 messages that a shutdown waits for the broker to release.
    var unfinished: Set<UInt16> = []
    var isInTurn = false

    // Subscribing (Session+Subscribing)
    var subscriptions = SubscriptionTable()
    var subscribing: [SubscribeOperation] = []
    var unclaimed = UnclaimedMessages()
    var unclaimedTimer: TimerID?
    /// Topics of messages that nobody took, and that are left to the broker until the next connection.
    var givenBack: [UInt16: String] = [:]
    /// How many unclaimed messages the log has told of.
    var warnedOfUnclaimed = 0
    /// Filters that were ended explicitly in this session.
    var endedFilters: OrderedSet<MQTTTopicFilter> = []
    /// How many messages consumers have left to the broker since the connection began (Session+Resending).
    var abandoned = 0
    var isResendingDemanded = false
    var resendingTimer: TimerID?
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
    var isolationTimer: TimerID?
    var ageTimer: TimerID?
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
    /// Requests that wait for their responses.
    let awaitedResponses = Atomic(0)
    nonisolated let settledReceipts = Mutex([Receipt]())

    // Waiting (Session+Waiting)
    /// Set once: the warning is not repeated.
    var idleTimer: TimerID?
    var connectionWaiters = WaiterList<MQTTConnectionInfo>()
    var rotationWaiters = WaiterList<Void>()
    /// Callers that wait for a connection with a new client certificate.
    var identityWaiters = WaiterList<Void>()
    var lastWaiter: UInt64 = 0
    /// Ends calls of tasks that are being shut down (Session+GracefulShutdown).
    var leaving: [Leaving] = []
    /// The number of them at which those that have ended are removed.
    var leavingLimit = 64
    /// What a shutdown says to the broker.
    var farewell = MQTTDisconnect()
    var stopWaiters: [CheckedContinuation<Result<Void, MQTTError>, Never>] = []
    /// How a shutdown ended that could not send everything.
    var unsentError: MQTTError?
    /// Whether somebody has asked for a graceful end.
    private var isEndingGracefully = false
    /// How long consumers may outlive the client.
    private var outlivingTime: Duration?

    // What is told (Session+Events)
    var observed = MQTTConnectionState.idle
    var lastError: MQTTError?
    var digest = FailureDigest()

    private nonisolated let isClaimed = Atomic(false)
    nonisolated let isReaderWoken = Atomic(false)

    init(
        _ configuration: MQTTClientConfiguration, eventLoop: MosquittoEventLoop, shared: SharedState, logger: Logger,
        resolve: @escaping @Sendable (String) async -> Resolver.Answer
    ) {
        MosquittoLibrary.initialize
        self.resolve = resolve
        self.configuration = configuration
        self.eventLoop = eventLoop
        self.shared = shared
        var logger = logger
        logger[metadataKey: "mqtt.client_id"] = "\(configuration.effectiveClientID)"
        self.logger = logger
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

    /// Whether this call is the one that may run the session.
    nonisolated func claimRun() -> Bool {
        isClaimed.compareExchange(expected: false, desired: true, ordering: .relaxed).exchanged
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
        metrics?.session = self
        if configuration.acknowledgement == .afterHandling, configuration.session == .clean {
            logger.warning(
                """
                acknowledgement .afterHandling with a clean session: what is not handled when a connection ends does not come \
                again; it needs session .persistent
                """)
        }
        return await withCheckedContinuation { continuation in
            stopWaiters.append(continuation)
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
        if let disconnect { farewell = disconnect }
        shutDown(isGraceful: isGraceful)
        if case .stopped = machine.state {} else { _ = await withCheckedContinuation { stopWaiters.append($0) } }
        if let unsentError { throw unsentError }
    }

    /// The service group ends its services one after the other, and takes it for a failure if another one ends before its turn. So
    /// consumers go on until they are shut down themselves, or for ``MQTTTimeouts/drain``.
    private func shutDownWithGroup() {
        outlivingTime = configuration.timeouts.drain
        shutDown(isGraceful: true)
    }

    private func shutDown(isGraceful: Bool) {
        if isGraceful { isEndingGracefully = true }
        perform(machine.shutdown(isGraceful: isGraceful, hasUnsent: publisher.hasMessages, now: .now))
    }

    /// The last reference to the client is gone.
    nonisolated func abandon() {
        Task { await self.shutDown(isGraceful: false) }
    }

    // MARK: Performing

    func perform(_ actions: [SessionStateMachine.Action]) {
        for action in actions {
            switch action {
            case .emit(let kind): emit(kind)
            case .fetchCredentials(let attempt): fetchCredentials(attempt)
            case .dial(let endpoint): dial(endpoint)
            case .requestTurn(let endpoint): requestTurn(endpoint)
            case .tearDown: tearDown()
            case .establish(let info): establish(info)
            case .reauthenticate: reauthenticate()
            case .finishRotation: rotationWaiters.resumeAll(.success(()))
            case .drain: drain()
            case .disconnect: disconnect()
            case .countUnsent: countUnsent()
            case .setTimer(let timer, let delay): setTimer(timer, delay)
            case .cancelTimer(let timer): cancelTimer(timer)
            case .finish(let error): finish(error)
            }
        }
        publishState()
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

    private func setTimer(_ timer: SessionStateMachine.Timer, _ delay: Duration) {
        cancelTimer(timer)
        timers[timer] = loop.setTimer(after: delay) { [weak self] in
            self?.assumeIsolated { $0.timerFired(timer) }
        }
    }

    private func cancelTimer(_ timer: SessionStateMachine.Timer) {
        if let id = timers.removeValue(forKey: timer) { loop.cancelTimer(id) }
    }

    private func timerFired(_ timer: SessionStateMachine.Timer) {
        timers[timer] = nil
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
        generation += 1
        keeper.stop()
        if let expiryTimer { loop.cancelTimer(expiryTimer) }
        expiryTimer = nil
        if let dropTimer { loop.cancelTimer(dropTimer) }
        dropTimer = nil
        opening = nil
        if let unclaimedTimer { loop.cancelTimer(unclaimedTimer) }
        unclaimedTimer = nil
        if let resendingTimer { loop.cancelTimer(resendingTimer) }
        resendingTimer = nil
        tls = nil
        suspects = Suspects()
        let reason = error ?? MQTTError(.stopped, "the client has stopped")
        publisher.stop(reason)
        leaveUnreadToBroker()
        failUnsubscribing(reason)
        if error == nil, let outlivingTime {
            _ = loop.setTimer(after: outlivingTime) { [weak self] in
                self?.assumeIsolated { $0.failSubscriptions(reason, isQuiet: true) }
            }
        } else {
            failSubscriptions(reason, isQuiet: error == nil && isEndingGracefully)
        }
        failWaiters(reason)
        leaving = []
        for waiter in stopWaiters { waiter.resume(returning: error.map { .failure($0) } ?? .success(())) }
        stopWaiters.removeAll()
    }
}

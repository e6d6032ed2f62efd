import DequeModule
import Logging
import ServiceLifecycle
import Synchronization

/// Performs what ``SessionStateMachine`` decides. An actor on its loop's thread: every call into libmosquitto and OpenSSL
/// for a client is made here, and the loop enters it without a Swift job.
actor Session: EventLoopClient {
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
    var handle: MosquittoHandle?
    var connection: Connection?
    var token: UInt64?
    var interest: PollEvents = []
    var keepAliveTimer: TimerID?

    // Credentials (Session+Credentials)
    let rotator: TokenRotator?
    var credentials = MQTTCredentials.anonymous
    /// The Authentication Data that goes with them.
    var authenticationData: [UInt8]?
    /// Whether the rotation under way is the user's wish.
    var isRotationDemanded = false
    var credentialTask: Task<Void, Never>?
    /// Goes up with every question to the provider: an answer to an earlier one is ignored.
    var fetchNumber = 0
    /// What the broker was shown on this connection.
    var shown: MQTTCredentials?
    var rejected: MQTTCredentials?
    var receivedAt = ContinuousClock.now
    var lifetime: TokenLifetime?
    var jitter: JitterGenerator

    // Publishing (Session+Publishing)
    /// Taken from the queue, or put back after a connection, and not sent.
    var pending = PublishQueue()
    var expiryTimer: TimerID?
    var inFlight = InFlightPublishes()
    /// What of it is to be sent again on this connection, and was not yet.
    var unsentAgain = Deque<UInt16>()
    var lastSequence: UInt64 = 0
    var lastPacketID: UInt16 = 0
    var encoder: PublishEncoder
    /// What this turn hands over; empty between turns.
    var handedOver: [OutgoingPublish] = []
    var window = 0
    var aliases = TopicAliases()
    /// What the broker said of itself in the CONNACK of this connection.
    var limits: MQTTConnackProperties?
    /// What the window may be at most: less than configured if a broker had too much.
    var maximumInFlight: Int
    var isDraining = false
    /// QoS 2 messages that a shutdown waits for the broker to release.
    var unfinished: Set<UInt16> = []
    private var isInTurn = false

    // Subscribing (Session+Subscribing)
    var subscriptions = SubscriptionTable()
    var subscribing: [SubscribeOperation] = []
    var unclaimed = UnclaimedMessages()
    var unclaimedTimer: TimerID?
    /// SUBSCRIBE packets of a reconnect, for which nobody waits.
    var restoring: [UInt16: Restoration] = [:]
    var unsubscribing: [UnsubscribeOperation] = []
    /// UNSUBSCRIBE packets under way.
    var unanswered: [UInt16: [String]] = [:]

    // Delivering (Session+Delivering)
    /// The memory of what a connection told last.
    var emptyEvents: [MosquittoEvent] = []
    var unreleased: [UInt16: UnreleasedMessage] = [:]
    /// Whether it is worth looking which consumer is full.
    var hasFullConsumer = false
    /// Requests that wait for their responses.
    let awaitedResponses = Atomic(0)
    nonisolated let settledReceipts = Mutex([Receipt]())

    // Waiting (Session+Waiting)
    var connectionWaiters = WaiterList<MQTTConnectionInfo>()
    var rotationWaiters = WaiterList<Void>()
    var lastWaiter: UInt64 = 0
    /// What a shutdown says to the broker.
    var farewell = MQTTDisconnect()
    var stopWaiters: [CheckedContinuation<Result<Void, MQTTError>, Never>] = []

    // What is told (Session+Events)
    var observed = MQTTConnectionState.idle
    var lastError: MQTTError?
    var digest = FailureDigest()

    private nonisolated let isClaimed = Atomic(false)
    private nonisolated let isReaderWoken = Atomic(false)

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
        logger[metadataKey: "mqtt.client_id"] = "\(configuration.clientID)"
        self.logger = logger
        rotator = configuration.credentials.map {
            TokenRotator(
                $0, timeout: configuration.timeouts.credentials, refreshAt: configuration.refreshCredentialsAt)
        }
        maximumInFlight = configuration.maximumInFlight
        encoder = PublishEncoder(configuration.version)
        jitter = JitterGenerator(seed: configuration.retry.seed)
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
                Task { await self.shutDown(isGraceful: true) }
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
    func shutDownAndWait(isGraceful: Bool, _ disconnect: MQTTDisconnect? = nil) async {
        if let disconnect { farewell = disconnect }
        shutDown(isGraceful: isGraceful)
        if case .stopped = machine.state { return }
        _ = await withCheckedContinuation { stopWaiters.append($0) }
    }

    private func shutDown(isGraceful: Bool) {
        perform(machine.shutdown(isGraceful: isGraceful, now: .now))
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
            case .setTimer(let timer, let delay): setTimer(timer, delay)
            case .cancelTimer(let timer): cancelTimer(timer)
            case .finish(let error): finish(error)
            }
        }
        publishState()
    }

    private func requestTurn(_ endpoint: MQTTEndpoint) {
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
        if timer == .credentials {
            cancelFetch()
            failRotation(MQTTError(.timeout, "the credential provider took too long", phase: .credentials))
        }
        perform(machine.timerFired(timer, now: .now))
    }

    private func finish(_ error: MQTTError?) {
        generation += 1
        cancelFetch()
        if let rotator { Task { await rotator.abandon() } }
        if let expiryTimer { loop.cancelTimer(expiryTimer) }
        expiryTimer = nil
        handle = nil
        if let unclaimedTimer { loop.cancelTimer(unclaimedTimer) }
        unclaimedTimer = nil
        tls = nil
        let reason = error ?? MQTTError(.stopped, "the client has stopped")
        failPublishes(reason)
        failSubscriptions(reason)
        failWaiters(reason)
        for waiter in stopWaiters { waiter.resume(returning: error.map { .failure($0) } ?? .success(())) }
        stopWaiters.removeAll()
    }

    // MARK: EventLoopClient

    nonisolated func socketReady(_ token: UInt64, _ events: PollEvents) {
        assumeIsolated { session in
            if token == session.token { session.advance(events) } else { session.raceReady(token) }
        }
    }

    nonisolated func mailboxReady() {
        assumeIsolated { session in
            if !session.pending.isEmpty || !session.shared.queue.isEmpty { session.needsFlush() }
            session.watchExpiry()
            session.takeReceipts()
            if session.isReaderWoken.exchange(false, ordering: .acquiring) { session.resumeReading() }
        }
    }

    nonisolated func turnEnded() {
        assumeIsolated { session in
            session.isInTurn = false
            session.flush()
            session.metrics?.turnEnded()
        }
    }

    /// What this turn produced is written when it ends.
    func needsFlush() {
        guard !isInTurn else { return }
        isInTurn = true
        loop.callAtEndOfTurn(self)
    }

    /// Called by a consumer that has made room, on any thread.
    nonisolated var wakeReader: @Sendable () -> Void {
        { [weak self] in
            guard let self, !self.isReaderWoken.exchange(true, ordering: .releasing) else { return }
            self.loop.schedule(self)
        }
    }
}

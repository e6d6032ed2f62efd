import DequeModule
import Logging

/// Attempts and connections: from a name to a CONNACK, and to the end.
extension Session {
    // MARK: Dialling

    /// Prepares TLS and resolves the name, both off the loop, and connects.
    func dial(_ endpoint: MQTTEndpoint) {
        generation += 1
        let attempt = generation
        let configuration = configuration
        let known = tls
        let resolve = resolve
        Task { [weak self] in
            let prepared = await Self.prepare(endpoint, configuration, known, resolve, attempt: attempt)
            await self?.prepared(prepared, endpoint, attempt: attempt)
        }
    }

    private struct Prepared: Sendable {
        var tls: TLSContext?
        var addresses: Result<[String], MQTTError>
    }

    @concurrent
    private static func prepare(
        _ endpoint: MQTTEndpoint, _ configuration: MQTTClientConfiguration, _ known: TLSContext?,
        _ resolve: @Sendable (String) async -> Resolver.Answer, attempt: Int
    ) async -> Prepared {
        var context = known
        if let tls = configuration.tls {
            do throws(MQTTError) {
                context = try await TLSContext.prepare(known, tls, for: endpoint, turn: attempt)
            } catch {
                return Prepared(tls: known, addresses: .failure(error))
            }
        }
        if endpoint.isUnixSocket { return Prepared(tls: context, addresses: .success([endpoint.host])) }
        // A proxy resolves the broker's name itself.
        let host = configuration.proxy?.host ?? endpoint.host
        if let address = Resolver.numeric(host) {
            return Prepared(tls: context, addresses: .success([address]))
        }
        return Prepared(tls: context, addresses: await resolve(host))
    }

    private func prepared(_ prepared: Prepared, _ endpoint: MQTTEndpoint, attempt: Int) {
        guard attempt == generation, case .dialing(.resolve) = machine.state else { return }
        tls = prepared.tls
        switch prepared.addresses {
        case .failure(let error): fail(error)
        case .success(let addresses): connect(to: addresses, of: endpoint)
        }
    }

    private func connect(to addresses: [String], of endpoint: MQTTEndpoint) {
        closeConnection()
        perform(machine.entered(.connect))
        do throws(MQTTError) {
            let handle = try makeHandle()
            self.handle = handle
            let authenticator = configuration.authenticator
            shown = credentials
            try handle.setCredentials(authenticator?.connectCredentials(credentials) ?? credentials)
            let configuration = configuration
            let authentication = authenticator.map { (method: $0.method, data: authenticationData) }
            let proxy = endpoint.isUnixSocket ? nil : configuration.proxy
            let port = proxy?.port ?? endpoint.port
            race = ConnectRace(
                addressMemory.order(addresses, of: endpoint, now: .now), port: port, from: configuration.localAddress,
                through: proxy.map { SOCKSHandshake($0, to: endpoint) }, handle: handle, loop: loop, client: self
            ) { address throws(MQTTError) in
                try handle.connect(address: address, port: port, configuration, authentication)
            }
            try startNextRunner()
        } catch {
            fail(error)
        }
    }

    private func makeHandle() throws(MQTTError) -> MosquittoHandle {
        try MosquittoHandle(configuration, logger: logger)
    }

    /// Tries the next address, and the one after it when the stagger has passed.
    private func startNextRunner() throws(MQTTError) {
        try race?.startNext()
        staggerRace()
    }

    /// The stagger counts from the address that was tried last.
    private func staggerRace() {
        guard let race else { return }
        if let raceTimer { loop.cancelTimer(raceTimer) }
        raceTimer = nil
        guard race.hasMore else { return }
        raceTimer = loop.setTimer(after: race.delay) { [weak self] in
            self?.assumeIsolated { session in
                session.raceTimer = nil
                do throws(MQTTError) { try session.startNextRunner() } catch { session.fail(error) }
            }
        }
    }

    /// A socket of the race is ready.
    func raceReady(_ token: UInt64) {
        guard let race, let handle else { return }
        do throws(MQTTError) {
            guard let winner = try race.ready(token) else { return staggerRace() }
            endRace()
            try connected(winner, handle)
        } catch {
            fail(error)
        }
    }

    private func connected(_ winner: ConnectRace.Winner, _ handle: MosquittoHandle) throws(MQTTError) {
        addressMemory.connected(to: winner.address, of: machine.endpoint, now: .now)
        let connection = try Connection(
            handle, winner, tls: tls, configuration: configuration, scratch: loop.scratch)
        self.connection = connection
        interest = connection.interest
        token = loop.register(connection.descriptor, client: self, interest: interest, isPatient: tls != nil)
        if token == nil { throw MQTTError(.system, "the socket cannot be watched") }
        if tls != nil { perform(machine.entered(.tlsHandshake)) }
        try follow(try connection.advanceHandshake(), of: connection)
    }

    private func endRace() {
        if let raceTimer { loop.cancelTimer(raceTimer) }
        raceTimer = nil
        race?.cancel()
        race = nil
    }

    // MARK: Progress

    func advance(_ events: PollEvents) {
        guard let connection else { return }
        do throws(MQTTError) {
            let progress = try connection.advance(events)
            handleEvents(of: connection)
            guard self.connection === connection else { return }
            if case .finished = progress { return perform(machine.closed(now: .now)) }
            try follow(progress, of: connection)
            // What was read may have queued acknowledgements.
            needsFlush()
        } catch {
            handleEvents(of: connection)
            guard self.connection === connection else { return }
            ended(error)
        }
    }

    private func follow(_ progress: Connection.Progress, of connection: Connection) throws(MQTTError) {
        switch progress {
        case .handshaken: try handshaken(connection)
        case .asks(let peer): verify(peer)
        case .none, .finished: break
        }
        updateInterest()
    }

    private func handshaken(_ connection: Connection) throws(MQTTError) {
        if let token { loop.hurry(token) }
        perform(machine.entered(.connack))
        try connection.flush()
    }

    /// Asks the user's own check, off the loop, while the handshake waits.
    private func verify(_ peer: TLSPeer) {
        guard let check = configuration.tls?.customVerification else { return }
        let attempt = generation
        Task { [weak self] in
            let objection = await Self.objection(to: peer, check)
            await self?.verified(objection, attempt: attempt)
        }
    }

    @concurrent
    private static func objection(
        to peer: TLSPeer, _ check: @Sendable (TLSPeer) async throws -> Void
    ) async -> (any Error)? {
        do {
            try await check(peer)
            return nil
        } catch {
            return error
        }
    }

    private func verified(_ objection: (any Error)?, attempt: Int) {
        guard attempt == generation, let connection else { return }
        do throws(MQTTError) {
            try follow(try connection.answer(isTrusted: objection == nil), of: connection)
        } catch {
            var error = error
            error.underlying = objection
            ended(error)
        }
    }

    /// The connection has ended: a failed attempt, or the loss of what was established.
    func ended(_ error: MQTTError) {
        if error.code == .notAuthorized { rejected = shown }
        if let connection, error.isAnswer { addressMemory.answered(by: connection.address, of: machine.endpoint) }
        if case .dialing = machine.state {
            fail(error)
        } else {
            perform(
                machine.connectionLost(
                    endpointed(error), hasExpired: lifetime?.hasEnded(since: receivedAt) ?? false, now: .now))
        }
    }

    func fail(_ error: MQTTError) {
        perform(machine.attemptFailed(endpointed(error), now: .now))
    }

    private func endpointed(_ error: MQTTError) -> MQTTError {
        var error = error
        error.endpoint = error.endpoint ?? machine.endpoint.description
        return error
    }

    func updateInterest() {
        guard let connection, let token, interest != connection.interest else { return }
        interest = connection.interest
        loop.setInterest(connection.descriptor, token: token, interest)
    }

    /// Writes what the turn produced.
    func flush() {
        guard let connection else { return }
        do throws(MQTTError) {
            pump()
            try connection.flush()
            metrics?.moved(&connection.traffic)
            handleEvents(of: connection)
            guard self.connection === connection else { return }
            updateInterest()
            resumePumping()
            checkDrained()
            resumeReading()
        } catch {
            handleEvents(of: connection)
            guard self.connection === connection else { return }
            ended(error)
        }
    }

    // MARK: Events

    func handleEvents(of connection: Connection) {
        var events: [MosquittoEvent] = []
        swap(&events, &emptyEvents)
        connection.takeEvents(&events)
        defer {
            // After a burst, its memory is given back.
            if events.count <= 4_096 {
                events.removeAll(keepingCapacity: true)
                swap(&events, &emptyEvents)
            }
        }
        var messages: [IncomingMessage] = []
        for event in events {
            if case .message(let message, let packetID) = event {
                if messages.isEmpty { messages.reserveCapacity(events.count) }
                if let message = received(message, packetID, connection) { messages.append(message) }
                continue
            }
            if !messages.isEmpty {
                deliver(messages)
                messages = []
            }
            handle(event, connection)
            guard self.connection === connection else { return }
        }
        if !messages.isEmpty { deliver(messages) }
        pauseReading()
    }

    private func handle(_ event: MosquittoEvent, _ connection: Connection) {
        switch event {
        case .message: break
        case .connack(let code, let sessionPresent, let properties):
            code == 0 ? accepted(connection, sessionPresent, properties) : refused(code, properties)
        case .released(let packetID):
            unreleased[packetID] = nil
            if unfinished.remove(packetID) != nil, unfinished.isEmpty { needsFlush() }
        case .acknowledged(let acknowledgement): finished(acknowledgement, .atLeastOnce)
        case .publishReceived(let acknowledgement): takenOver(acknowledgement)
        case .completed(let acknowledgement): finished(acknowledgement, .exactlyOnce)
        case .subscribed(let packetID, let codes, let explanation): subscribed(packetID, codes, explanation)
        case .unsubscribed(let packetID, let codes, let explanation): unsubscribed(packetID, codes, explanation)
        case .serverDisconnect(let disconnect): disconnected(disconnect)
        case .authentication(let packet): authentication(packet)
        }
    }

    private func accepted(_ connection: Connection, _ sessionPresent: Bool, _ properties: MQTTConnackProperties) {
        guard case .dialing = machine.state else {
            return ended(MQTTError(.protocolViolation, "the broker sent a second CONNACK"))
        }
        addressMemory.answered(by: connection.address, of: machine.endpoint)
        if let name = connection.ignoredIdentifier {
            logger.debug("the broker assigned the client identifier \(quoted(name)), though it was given one")
        }
        if sessionPresent {
            resumeInFlight()
        } else {
            requeueInFlight()
            sessionForgotten()
            unreleased.removeAll()
        }
        subscriptions.usesIdentifiers = mayIdentify && properties.subscriptionIdentifiersAvailable
        let info = MQTTConnectionInfo(
            attempt: 0, endpoint: machine.endpoint, address: connection.address, sessionPresent: sessionPresent,
            tls: connection.tlsInfo, clientID: configuration.clientID, properties: properties)
        rejected = nil
        window = min(maximumInFlight, Int(properties.receiveMaximum))
        limits = properties
        aliases = TopicAliases(maximum: properties.topicAliasMaximum)
        perform(machine.accepted(info, refreshIn: refreshDelay(), now: .now))
    }

    /// Whether overlapping filters have identifiers. In a persistent session those of an earlier process may still be in use, so
    /// there it has to be asked for.
    private var mayIdentify: Bool {
        guard configuration.version == .v5_0 else { return false }
        return configuration.usesSubscriptionIdentifiers ?? (configuration.session == .clean)
    }

    private func refused(_ code: UInt8, _ properties: MQTTConnackProperties) {
        let isVersion5 = configuration.version == .v5_0 || code >= 0x80
        var error = MQTTError.refusal(isVersion5 ? .v5(MQTTReasonCode(rawValue: code)) : .v3(code))
        error.reasonString = properties.reasonString
        error.userProperties = properties.userProperties
        error.serverReference = properties.serverReference
        ended(error)
    }

    private func disconnected(_ disconnect: ServerDisconnect) {
        giveUpSuspects(MQTTReasonCode(rawValue: disconnect.reasonCode))
        var error = MQTTError.disconnect(
            MQTTReasonCode(rawValue: disconnect.reasonCode), reference: disconnect.serverReference)
        error.explain(disconnect.explanation)
        ended(error)
    }

    // MARK: Established

    func establish(_ info: MQTTConnectionInfo) {
        isDraining = false
        hasFullConsumer = true
        pauseReading()
        scheduleKeepAlive(info)
        restoreSubscriptions()
        resumeWaiters(info)
        needsFlush()
    }

    private func scheduleKeepAlive(_ info: MQTTConnectionInfo) {
        let seconds = info.properties.serverKeepAlive.map(Int.init) ?? Int(configuration.keepAlive.components.seconds)
        if let keepAlive = KeepAlive(seconds: seconds) { schedule(keepAlive) }
    }

    private func schedule(_ keepAlive: KeepAlive) {
        keepAliveTimer = loop.setLooseTimer(after: keepAlive.interval) { [weak self] in
            self?.assumeIsolated { session in
                session.keepAliveTimer = nil
                session.check(keepAlive)
            }
        }
    }

    private func check(_ keepAlive: KeepAlive) {
        guard let connection else { return }
        do throws(MQTTError) {
            try connection.check(keepAlive)
            handleEvents(of: connection)
            guard self.connection === connection else { return }
            if connection.hasUnsent { needsFlush() }
            schedule(keepAlive)
        } catch {
            handleEvents(of: connection)
            guard self.connection === connection else { return }
            ended(error)
        }
    }

    // MARK: Ending

    func disconnect() {
        guard let connection else { return perform(machine.closed(now: .now)) }
        cancelKeepAlive()
        takeReceipts()
        let isLast = if case .disconnecting(.shutdown) = machine.state { true } else { false }
        do throws(MQTTError) {
            try connection.disconnect(isLast ? farewell : MQTTDisconnect())
            updateInterest()
        } catch {
            perform(machine.closed(now: .now))
        }
    }

    /// Ends what there is of an attempt or a connection, at once.
    func tearDown() {
        generation += 1
        cancelFetch()
        endRace()
        closeConnection()
        isDraining = false
        connectionEndedUnsubscribing()
        // What libmosquitto keeps of a connection, such as the limits of its CONNACK, goes with it.
        handle = nil
        unsentAgain.removeAll()
        if configuration.session == .clean {
            requeueInFlight()
            sessionForgotten()
            lastPacketID = 0
        }
        restoring = [:]
        for index in subscribing.indices { subscribing[index].packetIDs = [:] }
    }

    private func closeConnection() {
        cancelKeepAlive()
        limits = nil
        guard let connection else { return }
        if let token { loop.unregister(connection.descriptor, token: token) }
        token = nil
        metrics?.moved(&connection.traffic)
        connection.close()
        self.connection = nil
    }

    private func cancelKeepAlive() {
        if let timer = keepAliveTimer { loop.cancelTimer(timer) }
        keepAliveTimer = nil
    }
}

/// Attempts and connections: from a name to a CONNACK, and to the end.
extension Session {
    // MARK: Dialling

    /// Prepares TLS and resolves the name, both off the loop, and connects.
    func dial() {
        generation += 1
        let attempt = generation
        let configuration = configuration
        let known = handle == nil ? nil : tls
        Task { [weak self] in
            let prepared = await Self.prepare(configuration, known: known)
            await self?.prepared(prepared, attempt: attempt)
        }
    }

    private typealias Prepared = Result<(TLSContext?, [String]), MQTTError>

    @concurrent
    private static func prepare(_ configuration: MQTTClientConfiguration, known: TLSContext?) async -> Prepared {
        let host = configuration.endpoint.host
        do throws(MQTTError) {
            var context = known
            if let context {
                try context.reloadIfChanged()
            } else if let tls = configuration.tls {
                context = try TLSContext(tls, host: host)
            }
            if let address = Resolver.numeric(host) { return .success((context, [address])) }
            return try .success((context, await Resolver.shared.resolve(host).get()))
        } catch {
            return .failure(error)
        }
    }

    private func prepared(_ result: Prepared, attempt: Int) {
        guard attempt == generation, case .dialing(.resolve) = machine.state else { return }
        switch result {
        case .failure(let error):
            fail(error)
        case .success((let context, let addresses)):
            tls = context
            self.addresses = addresses
            lastConnectError = nil
            connectNext()
        }
    }

    /// Connects to the next address of the name.
    private func connectNext() {
        guard !addresses.isEmpty else {
            return fail(lastConnectError ?? MQTTError(.dns, "the host has no address"))
        }
        let address = addresses.removeFirst()
        closeConnection()
        perform(machine.entered(.connect))
        do throws(MQTTError) {
            let handle: MosquittoHandle
            if let kept = self.handle { handle = kept } else { handle = try MosquittoHandle(configuration, tls: tls) }
            self.handle = handle
            try handle.setCredentials(credentials)
            let connection = try Connection(
                handle, address: address, configuration: configuration, scratch: loop.scratch)
            self.connection = connection
            interest = connection.interest
            token = loop.register(connection.descriptor, client: self, interest: interest)
            if token == nil { throw MQTTError(.system, "the socket cannot be watched") }
        } catch {
            lastConnectError = error
            // A protocol family that this machine does not have is an error of one address, not of all.
            if error.code == .library { return fail(error) }
            connectNext()
        }
    }

    /// Goes on to the next address if the current one does not answer.
    func tryNextAddress() -> Bool {
        guard case .dialing(.connect) = machine.state, !addresses.isEmpty else { return false }
        connectNext()
        return true
    }

    // MARK: Progress

    func advance(_ events: PollEvents) {
        guard let connection else { return }
        do throws(MQTTError) {
            let progress = try connection.advance(events)
            handleEvents(of: connection)
            guard self.connection === connection else { return }
            switch progress {
            case .none: break
            case .connected: try connected(connection)
            case .handshaken: try handshaken(connection)
            case .finished: return perform(machine.closed(now: .now))
            }
            // What was read may have queued acknowledgements.
            needsFlush()
            updateInterest()
        } catch {
            handleEvents(of: connection)
            guard self.connection === connection else { return }
            if case .dialing(.connect) = machine.state {
                lastConnectError = error
                connectNext()
            } else {
                ended(error)
            }
        }
    }

    private func connected(_ connection: Connection) throws(MQTTError) {
        if handle?.tls == nil { return try handshaken(connection) }
        perform(machine.entered(.tlsHandshake))
        if case .handshaken = try connection.advanceHandshake() { try handshaken(connection) }
    }

    private func handshaken(_ connection: Connection) throws(MQTTError) {
        perform(machine.entered(.connack))
        try connection.flush()
    }

    /// The connection has ended: a failed attempt, or the loss of what was established.
    func ended(_ error: MQTTError) {
        if error.code == .notAuthorized { rejected = credentials }
        if case .dialing = machine.state {
            fail(error)
        } else {
            perform(machine.connectionLost(endpointed(error), now: .now))
        }
    }

    func fail(_ error: MQTTError) {
        perform(machine.attemptFailed(endpointed(error), now: .now))
    }

    private func endpointed(_ error: MQTTError) -> MQTTError {
        var error = error
        error.endpoint = error.endpoint ?? configuration.endpoint.description
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
            handleEvents(of: connection)
            guard self.connection === connection else { return }
            updateInterest()
            resumePumping()
            checkDrained()
        } catch {
            handleEvents(of: connection)
            guard self.connection === connection else { return }
            ended(error)
        }
    }

    // MARK: Events

    func handleEvents(of connection: Connection) {
        var messages: [MQTTMessage] = []
        for event in connection.takeEvents() {
            if case .message(let message) = event {
                messages.append(message)
                continue
            }
            if !messages.isEmpty {
                deliver(messages)
                messages.removeAll(keepingCapacity: true)
            }
            handle(event, connection)
            guard self.connection === connection else { return }
        }
        if !messages.isEmpty { deliver(messages) }
    }

    private func handle(_ event: MosquittoEvent, _ connection: Connection) {
        switch event {
        case .message: break
        case .connack(let code, let sessionPresent, let properties):
            code == 0 ? accepted(connection, sessionPresent, properties) : refused(code, properties)
        case .published(let packetID, let reasonCode): acknowledged(packetID, reasonCode)
        case .publishReceived(let packetID): inFlight[packetID]?.isReceived = true
        case .subscribed(let packetID, let codes): subscribed(packetID, codes)
        case .unsubscribed: break
        case .serverDisconnect(let disconnect): disconnected(disconnect)
        case .closed(let code):
            // On plain TCP nobody inspects: the library passes a DISCONNECT's reason code on, and no more.
            if code >= 0x80, handle?.tls == nil {
                disconnected(ServerDisconnect(reasonCode: UInt8(truncatingIfNeeded: code)))
            }
        }
    }

    private func accepted(_ connection: Connection, _ sessionPresent: Bool, _ properties: MQTTConnackProperties) {
        guard case .dialing = machine.state else {
            return ended(MQTTError(.protocolViolation, "the broker sent a second CONNACK"))
        }
        if !sessionPresent, handleHasSession {
            // The handle has the state of a session that the broker has lost: what it is about to send again the broker
            // knows nothing of, and a stale QoS 2 message would be delivered instead of a new one with its identifier. A
            // fresh handle publishes anew; nothing of this one's was written yet.
            requeueInFlight()
            dropHandle()
            closeConnection()
            subscriptions.forgetSession()
            addresses = [connection.address]
            return connectNext()
        }
        if !sessionPresent { subscriptions.forgetSession() }
        let info = MQTTConnectionInfo(
            attempt: 0, endpoint: configuration.endpoint, address: connection.address, sessionPresent: sessionPresent,
            tls: connection.tlsInfo, clientID: configuration.clientID, properties: properties)
        rejected = nil
        handleHasSession = true
        window = min(configuration.maximumInFlight, Int(properties.receiveMaximum))
        perform(machine.accepted(info, refreshIn: refreshDelay(), now: .now))
    }

    private func refused(_ code: UInt8, _ properties: MQTTConnackProperties) {
        let isVersion5 = configuration.version == .v5_0 || code >= 0x80
        var error = MQTTError.refusal(isVersion5 ? .v5(MQTTReasonCode(rawValue: code)) : .v3(code))
        error.reasonString = properties.reasonString
        error.serverReference = properties.serverReference
        ended(error)
    }

    private func disconnected(_ disconnect: ServerDisconnect) {
        ended(
            .disconnect(
                MQTTReasonCode(rawValue: disconnect.reasonCode),
                reason: disconnect.reasonString,
                reference: disconnect.serverReference
            ))
    }

    // MARK: Established

    func establish(_ info: MQTTConnectionInfo) {
        isDraining = false
        connection?.isReadingPaused = subscriptions.consumers.contains(where: \.isPausing)
        scheduleKeepAlive(info)
        restoreSubscriptions()
        resumeWaiters(info)
        needsFlush()
    }

    /// libmosquitto sends PINGREQ when it is called after the keep-alive has passed; a tenth of it late is well within the
    /// broker's tolerance of a half (MQTT 5.0, section 3.1.2.10).
    private func scheduleKeepAlive(_ info: MQTTConnectionInfo) {
        let seconds = info.properties.serverKeepAlive.map(Int64.init) ?? configuration.keepAlive.components.seconds
        guard seconds > 0 else { return }
        let interval = max(Duration.seconds(1), .seconds(seconds) / 10)
        keepAliveTimer = loop.setTimer(after: interval) { [weak self] in
            self?.assumeIsolated { session in
                session.keepAliveTimer = nil
                session.checkKeepAlive(info)
            }
        }
    }

    private func checkKeepAlive(_ info: MQTTConnectionInfo) {
        guard let connection else { return }
        do throws(MQTTError) {
            try connection.keepAlive()
            needsFlush()
            scheduleKeepAlive(info)
        } catch {
            ended(error)
        }
    }

    // MARK: Ending

    func disconnect() {
        guard let connection else { return perform(machine.closed(now: .now)) }
        cancelKeepAlive()
        do throws(MQTTError) {
            try connection.disconnect()
            updateInterest()
        } catch {
            perform(machine.closed(now: .now))
        }
    }

    /// Ends what there is of an attempt or a connection, at once.
    func tearDown() {
        generation += 1
        cancelFetch()
        addresses = []
        closeConnection()
        isDraining = false
        if configuration.session == .clean || !handleHasSession {
            // The broker forgets, and so must the library: stale QoS 2 state and sticky limits go with the handle.
            dropHandle()
            requeueInFlight()
            subscriptions.forgetSession()
        }
        restoring = [:]
        for index in subscribing.indices { subscribing[index].packetIDs = [:] }
    }

    func dropHandle() {
        handle = nil
        handleHasSession = false
    }

    private func closeConnection() {
        cancelKeepAlive()
        guard let connection else { return }
        if let token { loop.unregister(connection.descriptor, token: token) }
        token = nil
        connection.close()
        self.connection = nil
    }

    private func cancelKeepAlive() {
        if let timer = keepAliveTimer { loop.cancelTimer(timer) }
        keepAliveTimer = nil
    }
}

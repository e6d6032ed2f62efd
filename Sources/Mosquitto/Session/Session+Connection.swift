import DequeModule

/// The life of a connection: handshake, readiness of its socket, keep-alive and end.
extension Session {
    func advance(_ events: PollEvents) {
        guard let connection else { return }
        do throws(MQTTError) {
            let progress = try connection.advance(events)
            handlePackets(of: connection)
            guard self.connection === connection else { return }
            if case .finished = progress { return perform(machine.closed(now: .now)) }
            try follow(progress, of: connection)
            noticeDisconnectSent()
            // What was read may have queued acknowledgements.
            needsFlush()
        } catch {
            handlePackets(of: connection)
            guard self.connection === connection else { return }
            ended(error)
        }
    }

    func follow(_ progress: Connection.Progress, of connection: Connection) throws(MQTTError) {
        switch progress {
        case .handshaken: try handshaken(connection)
        case .asks(let peer): verify(peer)
        case .none, .finished: break
        }
        updateInterest()
    }

    func handshaken(_ connection: Connection) throws(MQTTError) {
        if let token { loop.hurry(token) }
        perform(machine.entered(.connack))
        guard let opening else { return }
        connection.writeSecret(try opening.connectPacket())
        try connection.flush()
    }

    /// Asks the user's own check, off the loop, while the handshake waits.
    func verify(_ peer: TLSPeer) {
        guard let check = configuration.tls?.customVerification else { return }
        let attempt = generation
        Task { [weak self] in
            let objection = await Self.objection(to: peer, check)
            await self?.verified(objection, attempt: attempt)
        }
    }

    @concurrent
    static func objection(
        to peer: TLSPeer, _ check: @Sendable (TLSPeer) async throws -> Void
    ) async -> (any Error)? {
        do {
            try await check(peer)
            return nil
        } catch {
            return error
        }
    }

    func verified(_ objection: (any Error)?, attempt: Int) {
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
        if let connection, error.isAnswer { addressMemory.answered(by: connection.address, of: machine.endpoint) }
        if case .dialing = machine.state {
            if error.code == .notAuthorized { keeper.refused() }
            if error.isWordlessEnd { suspects.suspicion.acquit() }
            fail(error)
        } else {
            let hasExpired = keeper.hasExpired(now: .now)
            let isSuspected = accuse(error, hasExpired: hasExpired)
            // After fresh ones were tried, it is the operation, and not the credentials.
            if error.code == .notAuthorized, !isSuspected || !machine.decider.hasTriedFresh { keeper.refused() }
            perform(
                machine.connectionLost(
                    endpointed(error), hasExpired: hasExpired, isOperationSuspected: isSuspected, now: .now))
        }
    }

    func fail(_ error: MQTTError) {
        perform(machine.attemptFailed(endpointed(error), now: .now))
    }

    func endpointed(_ error: MQTTError) -> MQTTError {
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
            publisher.sent(upTo: connection.sent)
            connection.finishWritingIfSent()
            noticeDisconnectSent()
            metrics?.moved(&connection.traffic)
            handlePackets(of: connection)
            guard self.connection === connection else { return }
            try adjustReading()
            guard self.connection === connection else { return }
            updateInterest()
            resumePumping()
            checkDrained()
        } catch {
            handlePackets(of: connection)
            guard self.connection === connection else { return }
            ended(error)
        }
    }

    // MARK: Established

    func establish(_ info: MQTTConnectionInfo) {
        isDraining = false
        beginIsolation()
        mayHaveFullConsumer = true
        scheduleKeepAlive(info)
        // One that is made to be ended is for what waits to be sent.
        if case .connected = machine.state { restoreSubscriptions() }
        resumeWaiters(info)
        needsFlush()
    }

    func scheduleKeepAlive(_ info: MQTTConnectionInfo) {
        let seconds = info.properties.serverKeepAlive.map(Int.init) ?? Int(configuration.keepAlive.components.seconds)
        if let interval = connection?.watchKeepAlive(seconds: seconds) { scheduleKeepAlive(every: interval) }
    }

    func scheduleKeepAlive(every interval: Duration) {
        keepAliveTimer = loop.setLooseTimer(after: interval) { [weak self] in
            self?.assumeIsolated { session in
                session.keepAliveTimer = nil
                session.checkKeepAlive(every: interval)
            }
        }
    }

    func checkKeepAlive(every interval: Duration) {
        guard let connection else { return }
        do throws(MQTTError) {
            try connection.check()
            handlePackets(of: connection)
            guard self.connection === connection else { return }
            needsFlush()
            scheduleKeepAlive(every: interval)
        } catch {
            handlePackets(of: connection)
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
            if isLast { leaveUnreadToBroker() }
            updateInterest()
            noticeDisconnectSent()
        } catch {
            perform(machine.closed(now: .now))
        }
    }

    /// From now on the broker has its time to close.
    func noticeDisconnectSent() {
        guard let connection, connection.hasSentAll, !hasSentDisconnect else { return }
        hasSentDisconnect = true
        _ = connection.hasMoved()
        perform(machine.disconnectSent())
    }

    /// Ends what there is of an attempt or a connection, at once.
    func tearDown() {
        generation += 1
        keeper.cancel()
        endRace()
        closeConnection()
        isDraining = false
        connectionEndedUnsubscribing()
        connectionEndedDelivering()
        opening = nil
        publisher.attemptEnded()
        if configuration.session == .clean { sessionForgotten() }
        restoring = [:]
        if case .waiting = machine.state { endLeaving() }
        suspects.connectionEnded()
        cancelSuspectTimers()
        for index in subscribing.indices { subscribing[index].connectionEnded() }
        watchExpiry()
    }

    func closeConnection() {
        cancelKeepAlive()
        hasSentDisconnect = false
        guard let connection else { return }
        if let token { loop.unregister(connection.descriptor, token: token) }
        token = nil
        publisher.connectionClosed(sent: connection.sent)
        metrics?.moved(&connection.traffic)
        connection.close()
        self.connection = nil
    }

    func cancelKeepAlive() {
        if let timer = keepAliveTimer { loop.cancelTimer(timer) }
        keepAliveTimer = nil
    }
}

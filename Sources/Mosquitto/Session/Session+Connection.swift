// SPDX-License-Identifier: Apache-2.0

import DequeModule

/// The life of a connection: handshake, readiness of its socket, keep-alive and end.
extension Session {
    var connection: Connection? { link?.connection }

    /// A counter, incremented at the beginning and the end of every attempt: late results of an earlier one are
    /// ignored.
    var generation: Int { dialer.attempt }

    func advance(_ events: PollEvents) {
        var progress = Connection.Progress.none
        guard drive({ connection throws(MQTTError) in progress = try connection.advance(events) }) else { return }
        switch progress {
        case .finished: return perform(machine.closed(now: .now))
        case .none: link?.update()
        case .reached, .handshaken, .asks, .upgraded, .refused:
            guard drive({ connection throws(MQTTError) in try follow(progress, of: connection) }) else { return }
        }
        noticeDisconnectSent()
        // The read bytes may have queued acknowledgements.
        needsFlush()
    }

    /// Performs a step on the connection, then handles the packets that arrived meanwhile: packets before the failure
    /// of the connection come first. Returns true if the connection is still up.
    @discardableResult
    func drive(_ step: (Connection) throws(MQTTError) -> Void) -> Bool {
        guard let connection else { return false }
        var failure: MQTTError?
        do throws(MQTTError) { try step(connection) } catch { failure = error }
        handlePackets(of: connection)
        guard self.connection === connection else { return false }
        guard let failure else { return true }
        ended(failure)
        return false
    }

    func follow(_ progress: Connection.Progress, of connection: Connection) throws(MQTTError) {
        switch progress {
        case .reached: try reached(connection)
        case .handshaken: try handshaken(connection)
        case .upgraded: try upgraded(connection)
        case .refused: awaitRefusal()
        case .asks(let peer): verify(peer)
        case .none, .finished: break
        }
        link?.update()
    }

    /// Begins TLS with the broker; without TLS, goes on.
    private func reached(_ connection: Connection) throws(MQTTError) {
        if connection.tls != nil { perform(machine.entered(.tlsHandshake)) }
        try follow(try connection.advanceHandshake(), of: connection)
    }

    func handshaken(_ connection: Connection) throws(MQTTError) {
        link?.hurry()
        guard connection.needsUpgrade else { return try upgraded(connection) }
        perform(machine.entered(.upgrade))
        try connection.startUpgrade()
    }

    /// Waits for the rest of a refusal, but not for long: some servers neither tell the length of a body nor close.
    private func awaitRefusal() {
        if timers.isRunning(.refusal) { return }
        setTimer(.refusal, after: .seconds(1)) { session in
            session.drive { connection throws(MQTTError) in try connection.endRefusal() }
        }
    }

    /// Sends CONNECT.
    func upgraded(_ connection: Connection) throws(MQTTError) {
        perform(machine.entered(.connack))
        guard let opening = dialer.opening else { return }
        connection.writeSecret(try opening.connectPacket())
        try connection.flush()
        try connection.consumeEarly()
    }

    /// Calls the user's custom verification, off the loop, while the handshake waits.
    func verify(_ peer: MQTTTLSPeer) {
        let tls = connection?.isTunnelling == true ? configuration.connection.proxy?.tls : configuration.tls
        guard let check = tls?.customVerification else { return }
        let attempt = generation
        Task { [weak self] in
            let objection = await Self.objection(to: peer, check)
            await self?.verified(objection, attempt: attempt)
        }
    }

    @concurrent
    static func objection(
        to peer: MQTTTLSPeer, _ check: @Sendable (MQTTTLSPeer) async throws -> Void
    ) async -> (any Error)? {
        do {
            try await check(peer)
            return nil
        } catch {
            return error
        }
    }

    func verified(_ objection: (any Error)?, attempt: Int) {
        guard attempt == generation else { return }
        drive { connection throws(MQTTError) in
            do throws(MQTTError) {
                try follow(try connection.answer(isTrusted: objection == nil), of: connection)
            } catch {
                var error = error
                error.underlying = objection
                throw error
            }
        }
    }

    /// Handles the end of a connection: a failed attempt, or the loss of an established connection.
    func ended(_ error: MQTTError) {
        if let connection, error.isAnswer { dialer.answered(by: connection, of: machine.endpoint) }
        if case .dialing = machine.state {
            if error.code == .notAuthorized {
                if error.phase == .upgrade { keeper.refusedRequest() } else { keeper.refused() }
            }
            if error.isWordlessEnd { suspects.suspicion.acquit() }
            fail(error)
        } else {
            let hasExpired = keeper.hasExpired(now: .now)
            let isSuspected = accuse(error, hasExpired: hasExpired)
            // If fresh credentials were already tried, the operation is the cause, and not the credentials.
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

    /// Writes and sends the output of the turn.
    func flush() {
        pump()
        let isUp = drive { connection throws(MQTTError) in
            try connection.flush()
            publisher.sent(upTo: connection.sent)
            connection.finishWritingIfSent()
            noticeDisconnectSent()
            metrics?.moved(&connection.traffic)
        }
        guard isUp, adjustReading() else { return }
        link?.update()
        resumePumping()
        checkDrained()
    }

    // MARK: Established

    func establish(_ info: MQTTConnectionInfo) {
        beginIsolation()
        scheduleKeepAlive(info)
        watchCertificate()
        // A connection made for a shutdown only sends the waiting messages.
        if case .connected = machine.state { restoreSubscriptions() }
        waiters.connected(info)
        needsFlush()
    }

    func scheduleKeepAlive(_ info: MQTTConnectionInfo) {
        let seconds = info.properties.serverKeepAlive.map(Int.init) ?? Int(configuration.keepAlive.components.seconds)
        if let interval = connection?.watchKeepAlive(seconds: seconds) { scheduleKeepAlive(every: interval) }
    }

    func scheduleKeepAlive(every interval: Duration) {
        setTimer(.keepAlive, after: interval, isLoose: true) { $0.checkKeepAlive(every: interval) }
    }

    private func checkKeepAlive(every interval: Duration) {
        let isUp = drive { connection throws(MQTTError) in
            if try connection.check() { waiters.pinged() }
        }
        guard isUp else { return }
        needsFlush()
        scheduleKeepAlive(every: interval)
    }

    // MARK: Ending

    func disconnect() {
        guard let connection else { return perform(machine.closed(now: .now)) }
        timers.cancel(.keepAlive)
        takeReceipts()
        let isLast = if case .disconnecting(.shutdown, _) = machine.state { true } else { false }
        do throws(MQTTError) {
            try connection.disconnect(isLast ? ending.disconnect : MQTTDisconnect())
            inbox.disconnecting()
            if isLast { inbox.leaveUnread(subscriber.table.consumers) }
            link?.update()
            noticeDisconnectSent()
        } catch {
            perform(machine.closed(now: .now))
        }
    }

    /// Starts the broker's time to close its side, once the DISCONNECT was sent.
    func noticeDisconnectSent() {
        guard let connection, connection.hasSentAll, case .disconnecting(_, let closing) = machine.state,
            !closing.isSent
        else { return }
        _ = connection.hasMoved()
        perform(machine.disconnectSent())
    }

    /// Closes the current attempt or connection at once.
    func tearDown() {
        dialer.cancel()
        keeper.cancel()
        timers.cancel(.race, .refusal)
        closeConnection()
        carryOut(subscriber.connectionEnded())
        waiters.pingsEnded()
        inbox.connectionEnded()
        timers.cancel(.resending)
        publisher.attemptEnded()
        if configuration.session == .clean { sessionForgotten() }
        if case .waiting = machine.state { endLeaving() }
        suspects.connectionEnded()
        timers.cancel(.isolation, .age, .pace)
        watchExpiry()
    }

    private func closeConnection() {
        timers.cancel(.keepAlive, .certificate)
        guard let link else { return }
        publisher.connectionClosed(sent: link.connection.sent)
        metrics?.moved(&link.connection.traffic)
        link.close()
        self.link = nil
    }
}

import DequeModule
import Logging

/// An attempt, from a name to a connected socket.
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
            let proof = try keeper.show()
            opening = Opening(
                configuration: configuration, credentials: proof.credentials, authentication: proof.authentication,
                loop: loop, logger: logger)
            let proxy = endpoint.isUnixSocket ? nil : configuration.proxy
            race = ConnectRace(
                addressMemory.order(addresses, of: endpoint, now: .now),
                port: endpoint.isUnixSocket ? nil : proxy?.port ?? endpoint.port, from: configuration.localAddress,
                through: proxy.map { SOCKSHandshake($0, to: endpoint) }, loop: loop, client: self)
            try startNextRunner()
        } catch {
            fail(error)
        }
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
        guard let race else { return }
        do throws(MQTTError) {
            guard let winner = try race.ready(token) else { return staggerRace() }
            endRace()
            try connected(winner)
        } catch {
            fail(error)
        }
    }

    private func connected(_ winner: ConnectRace.Winner) throws(MQTTError) {
        addressMemory.connected(to: winner.address, of: machine.endpoint, now: .now)
        let connection = try Connection(
            winner, tls: tls, configuration: configuration, scratch: loop.scratch,
            log: PacketLog(logger, clientID: configuration.effectiveClientID))
        self.connection = connection
        interest = connection.interest
        token = loop.register(connection.descriptor, client: self, interest: interest, isPatient: tls != nil)
        if token == nil { throw MQTTError(.system, "the socket cannot be watched") }
        if tls != nil { perform(machine.entered(.tlsHandshake)) }
        try follow(try connection.advanceHandshake(), of: connection)
    }

    func endRace() {
        if let raceTimer { loop.cancelTimer(raceTimer) }
        raceTimer = nil
        race?.cancel()
        race = nil
    }
}

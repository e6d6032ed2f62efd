// SPDX-License-Identifier: Apache-2.0

import Logging

/// Owns the path from an endpoint to a connected socket: TLS, name resolution, the race between addresses, and the
/// memory of addresses. Makes no decisions: the session starts each step and receives its result.
struct Dialer {
    private let configuration: MQTTClientConfiguration
    private let loop: EventLoopCore
    /// Resolves a name; replaced in tests.
    private let resolve: @Sendable (String) async -> Resolver.Answer
    private let logger: Logger

    /// A counter, incremented at the beginning and the end of every attempt: late results of an earlier one are
    /// ignored.
    private(set) var attempt = 0
    private var tls: TLSContext?
    private var proxyTLS: TLSContext?
    /// The value of Proxy-Authorization for the attempt.
    private var proxyAuthorization: MQTTSecret?
    /// The opening of the session, from dialling to the CONNACK.
    private(set) var opening: Opening?
    /// The request of a WebSocket handshake, while dialling.
    private var request: MQTTWebSocketRequest?
    private var race: ConnectRace?
    private var memory = AddressMemory()

    init(
        _ configuration: MQTTClientConfiguration, loop: EventLoopCore, logger: Logger,
        resolve: @escaping @Sendable (String) async -> Resolver.Answer
    ) {
        self.configuration = configuration
        self.loop = loop
        self.logger = logger
        self.resolve = resolve
    }

    // MARK: Preparing

    /// The steps that run off the loop.
    struct Preparation: Sendable {
        let endpoint: MQTTEndpoint
        let attempt: Int
        /// The circumstances, for the proxy's authorization.
        fileprivate let context: MQTTConnectAttempt
        fileprivate let configuration: MQTTClientConfiguration
        fileprivate let known: TLSContext?
        fileprivate let knownProxy: TLSContext?
        fileprivate let resolve: @Sendable (String) async -> Resolver.Answer

        @concurrent
        func run() async -> Prepared {
            var prepared = Prepared(tls: known, proxyTLS: knownProxy, addresses: .success([endpoint.host]))
            let proxy = configuration.connection.proxy.flatMap { $0.serves(endpoint) ? $0 : nil }
            do throws(MQTTError) {
                if let tls = configuration.tls {
                    prepared.tls = try await TLSContext.prepare(known, tls, for: endpoint, turn: attempt)
                }
                if let proxy, proxy.kind == .https { prepared.proxyTLS = try await proxyTLS(proxy) }
                prepared.authorization = try await authorization(proxy)
            } catch {
                prepared.addresses = .failure(error)
                return prepared
            }
            if endpoint.isUnixSocket { return prepared }
            // A proxy resolves the broker's name itself.
            let host = proxy?.host ?? endpoint.host
            if let address = HostAddresses.numeric(host) {
                prepared.addresses = .success([address])
            } else {
                prepared.addresses = await resolve(host)
            }
            return prepared
        }

        private func proxyTLS(_ proxy: MQTTProxy) async throws(MQTTError) -> TLSContext {
            do throws(MQTTError) {
                return try await TLSContext.prepare(knownProxy, proxy.tls, for: proxy.endpoint, turn: attempt)
            } catch {
                var error = error
                error.message = "the proxy's " + error.message
                error.tls?.isProxy = true
                throw error
            }
        }

        /// Asks for the value of Proxy-Authorization, under the deadline of a credential provider.
        private func authorization(_ proxy: MQTTProxy?) async throws(MQTTError) -> MQTTSecret? {
            guard let ask = proxy?.authorization else { return nil }
            let what = "proxy's authorization"
            let limit = configuration.timeouts.credentials
            let context = context
            let answer = await within(limit) { () -> Result<MQTTSecret, MQTTError> in
                do { return .success(try await ask(context)) } catch {
                    return .failure(MQTTError.providerFailure(error, of: what))
                }
            }
            guard let answer else { throw MQTTError.providerOverdue(limit, what) }
            let value = try answer.get()
            try HTTPConnectHandshake.validate(value)
            return value
        }
    }

    struct Prepared: Sendable {
        fileprivate var tls: TLSContext?
        fileprivate var proxyTLS: TLSContext?
        fileprivate var addresses: Result<[String], MQTTError>
        fileprivate var authorization: MQTTSecret?
    }

    /// Begins an attempt.
    mutating func prepare(_ context: MQTTConnectAttempt) -> Preparation {
        attempt += 1
        return Preparation(
            endpoint: context.endpoint, attempt: attempt, context: context, configuration: configuration, known: tls,
            knownProxy: proxyTLS, resolve: resolve)
    }

    /// Stores the TLS contexts of an attempt, and returns the addresses.
    mutating func take(_ prepared: Prepared) throws(MQTTError) -> [String] {
        tls = prepared.tls
        proxyTLS = prepared.proxyTLS
        proxyAuthorization = prepared.authorization
        return try prepared.addresses.get()
    }

    // MARK: The race

    /// Connects to the first address. `client` receives the readiness of the sockets, and calls ``ready(_:of:)``.
    mutating func connect(
        to addresses: [String], of endpoint: MQTTEndpoint, _ proof: CredentialKeeper.Proof,
        client: any EventLoopClient
    ) throws(MQTTError) {
        opening = Opening(
            configuration: configuration, credentials: proof.credentials, authentication: proof.authentication,
            loop: loop, logger: logger)
        request = proof.request
        let proxy = proxy(of: endpoint)
        race = ConnectRace(
            memory.order(addresses, of: endpoint, now: .now),
            port: endpoint.isUnixSocket ? nil : proxy?.port ?? endpoint.port,
            from: configuration.connection.localAddress,
            through: proxy.flatMap { plainHandshake($0, to: endpoint) }, loop: loop, client: client)
        try race?.startNext()
    }

    private func proxy(of endpoint: MQTTEndpoint) -> MQTTProxy? {
        configuration.connection.proxy.flatMap { $0.serves(endpoint) ? $0 : nil }
    }

    /// The handshake with a proxy in the clear, which is a part of the race. That of a proxy with TLS is a part of the
    /// connection, as the TLS of a broker is: ``TunnelStream``.
    private func plainHandshake(_ proxy: MQTTProxy, to endpoint: MQTTEndpoint) -> (any ProxyHandshake)? {
        switch proxy.kind {
        case .socks5: SOCKSHandshake(proxy, to: endpoint)
        case .http: HTTPConnectHandshake(proxy, to: endpoint, authorization: proxyAuthorization)
        case .https: nil
        }
    }

    private func tunnel(to endpoint: MQTTEndpoint) throws(MQTTError) -> TunnelStream.Proxy? {
        guard let proxy = proxy(of: endpoint), proxy.kind == .https else { return nil }
        // Never in the clear.
        guard let proxyTLS else { throw MQTTError(.system, "the proxy's TLS is not prepared", phase: .connect) }
        return TunnelStream.Proxy(
            context: proxyTLS,
            handshake: HTTPConnectHandshake(proxy, to: endpoint, authorization: proxyAuthorization))
    }

    /// The delay before the next address is tried in parallel; `nil` if there is none.
    var stagger: Duration? { race.flatMap { $0.hasMore ? $0.delay : nil } }

    /// Tries the next address.
    func startNext() throws(MQTTError) { try race?.startNext() }

    /// Handles a ready socket of the race. Returns the connection if the socket has won.
    mutating func ready(_ token: UInt64, of endpoint: MQTTEndpoint) throws(MQTTError) -> Connection? {
        guard let winner = try race?.ready(token) else { return nil }
        race = nil
        defer {
            request = nil
            proxyAuthorization = nil
        }
        memory.connected(to: winner.address, of: endpoint, now: .now)
        return try Connection(
            winner, tls: tls, through: try tunnel(to: endpoint), webSocket: request, configuration: configuration,
            scratch: loop.scratch,
            log: PacketLog(logger, clientID: configuration.effectiveClientID))
    }

    /// Judges the CONNACK, once. Returns `nil` if no attempt waits for it.
    mutating func judge(_ connack: Connack) -> Result<Connack, MQTTError>? {
        defer { opening = nil }
        return opening?.judge(connack)
    }

    /// Records that a broker has answered at an address.
    mutating func answered(by connection: Connection, of endpoint: MQTTEndpoint) {
        memory.answered(by: connection.address, of: endpoint)
    }

    /// Cancels the current attempt.
    mutating func cancel() {
        attempt += 1
        race?.cancel()
        race = nil
        opening = nil
        request = nil
        proxyAuthorization = nil
    }

    /// Releases everything after the client has stopped.
    mutating func stop() {
        cancel()
        tls = nil
        proxyTLS = nil
    }
}

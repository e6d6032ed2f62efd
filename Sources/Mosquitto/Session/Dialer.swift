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
    /// The opening of the session, from dialling to the CONNACK.
    private(set) var opening: Opening?
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
        fileprivate let configuration: MQTTClientConfiguration
        fileprivate let known: TLSContext?
        fileprivate let resolve: @Sendable (String) async -> Resolver.Answer

        @concurrent
        func run() async -> Prepared {
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
            let host = configuration.connection.proxy?.host ?? endpoint.host
            if let address = HostAddresses.numeric(host) {
                return Prepared(tls: context, addresses: .success([address]))
            }
            return Prepared(tls: context, addresses: await resolve(host))
        }
    }

    struct Prepared: Sendable {
        fileprivate var tls: TLSContext?
        fileprivate var addresses: Result<[String], MQTTError>
    }

    /// Begins an attempt.
    mutating func prepare(_ endpoint: MQTTEndpoint) -> Preparation {
        attempt += 1
        return Preparation(
            endpoint: endpoint, attempt: attempt, configuration: configuration, known: tls, resolve: resolve)
    }

    /// Stores the TLS context of an attempt, and returns the addresses.
    mutating func take(_ prepared: Prepared) throws(MQTTError) -> [String] {
        tls = prepared.tls
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
        let proxy = endpoint.isUnixSocket ? nil : configuration.connection.proxy
        race = ConnectRace(
            memory.order(addresses, of: endpoint, now: .now),
            port: endpoint.isUnixSocket ? nil : proxy?.port ?? endpoint.port,
            from: configuration.connection.localAddress,
            through: proxy.map { SOCKSHandshake($0, to: endpoint) }, loop: loop, client: client)
        try race?.startNext()
    }

    /// The delay before the next address is tried in parallel; `nil` if there is none.
    var stagger: Duration? { race.flatMap { $0.hasMore ? $0.delay : nil } }

    /// Tries the next address.
    func startNext() throws(MQTTError) { try race?.startNext() }

    /// Handles a ready socket of the race. Returns the connection if the socket has won.
    mutating func ready(_ token: UInt64, of endpoint: MQTTEndpoint) throws(MQTTError) -> Connection? {
        guard let winner = try race?.ready(token) else { return nil }
        race = nil
        memory.connected(to: winner.address, of: endpoint, now: .now)
        return try Connection(
            winner, tls: tls, configuration: configuration, scratch: loop.scratch,
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
    }

    /// Releases everything after the client has stopped.
    mutating func stop() {
        cancel()
        tls = nil
    }
}

// SPDX-License-Identifier: Apache-2.0

internal import NIOCore
internal import NIOPosix
internal import NIOSSL
internal import Synchronization

#if canImport(Darwin)
internal import Darwin
#elseif canImport(Musl)
internal import Musl
#else
internal import Glibc
#endif

/// An MQTT 3.1.1 and 5.0 broker inside the test process, which misbehaves on demand.
///
/// ```swift
/// let authority = try TestCertificateAuthority()
/// let broker = try await ScriptedBroker.start(
///     tls: authority.serverIdentity(),
///     script: [.resetMidHandshake, .refuse(code: 0x88, close: true), .serve]
/// )
/// // ... connect a client to 127.0.0.1:broker.port ...
/// #expect(await broker.waitUntil { $0.connects.count == 2 })
/// await broker.stop()
/// ```
///
/// The broker listens on 127.0.0.1 by default, and runs on a thread of its own. It records all packets; any thread can
/// read the record. It does not enforce keep-alive, message expiry and the limits that ``connackProperties`` announces,
/// and supports no enhanced authentication but that of a ``Platform``.
public final class ScriptedBroker: Sendable {
    /// The port on which the broker listens; 0 for a Unix socket.
    public let port: Int

    let record: BrokerRecord
    let settings: BrokerSettings
    private let calls: BrokerCalls
    private let unixSocket: String?
    private let group: MultiThreadedEventLoopGroup
    private let listener: any Channel
    private let core: NIOLoopBound<BrokerCore>
    private let shutdown = Mutex<Task<Void, Never>?>(nil)

    /// Starts a broker.
    ///
    /// - Parameters:
    ///   - address: The numeric address to listen on.
    ///   - port: The port, or 0 for any free one. A port in use is retried for five seconds: a child process that is
    ///     being spawned holds a closed listener of this process until it executes its program.
    ///   - tls: The server's certificate and key. Without it the broker speaks plain TCP.
    ///   - clientAuthority: If given, a client must present a certificate of this authority (PEM).
    ///   - authentication: The rule by which clients may connect.
    ///   - webSocket: If given, the broker speaks MQTT over WebSockets, over TLS or plain TCP.
    ///   - platform: If given, the broker enforces the rules of this platform.
    ///   - script: The treatment of the first, second, ... connection. The last entry repeats.
    /// - Throws: An error of SwiftNIO, for example if the port is in use or the PEM text is not PEM.
    public static func start(
        address: String = "127.0.0.1",
        port: Int = 0,
        tls: TestIdentity? = nil,
        clientAuthority: String? = nil,
        authentication: Authentication = .none,
        webSocket: WebSocket? = nil,
        platform: Platform? = nil,
        script: [ConnectionScript] = [.serve]
    ) async throws -> ScriptedBroker {
        let settings = try BrokerSettings(
            script: script,
            tls: tls,
            clientAuthority: clientAuthority,
            authentication: authentication,
            webSocket: webSocket,
            platform: platform
        )
        return try await start(settings) { bootstrap in
            bootstrap
                .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
                .bind(host: address, port: port)
        }
    }

    /// Starts a broker on a Unix socket, which is created at this path and removed by ``stop()``.
    ///
    /// - Throws: An error of SwiftNIO, for example if the path exists.
    public static func start(
        unixSocket path: String,
        tls: TestIdentity? = nil,
        script: [ConnectionScript] = [.serve]
    ) async throws -> ScriptedBroker {
        let settings = try BrokerSettings(
            script: script, tls: tls, clientAuthority: nil, authentication: .none, webSocket: nil)
        return try await start(settings) { $0.bind(unixDomainSocketPath: path) }
    }

    private static func start(
        _ settings: BrokerSettings,
        bind: (ServerBootstrap) -> EventLoopFuture<any Channel>
    ) async throws -> ScriptedBroker {
        let (record, calls) = (BrokerRecord(), BrokerCalls())
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        do {
            let loop = group.next()
            let core = try await loop.submit {
                NIOLoopBound(
                    BrokerCore(record: record, settings: settings, calls: calls, loop: loop), eventLoop: loop)
            }.get()
            let bootstrap = ServerBootstrap(group: group)
                .serverChannelOption(.backlog, value: 256)
                .childChannelInitializer { channel in
                    // The group has one thread, so this is the loop of the broker too.
                    channel.eventLoop.makeCompletedFuture { try core.value.accept(channel) }
                }
            let listener = try await listen { bind(bootstrap) }
            guard let local = listener.localAddress else { throw MosquittoTestingError.listenerClosed }
            return ScriptedBroker(
                port: local.port ?? 0,
                unixSocket: local.port == nil ? local.pathname : nil,
                record: record,
                settings: settings,
                calls: calls,
                group: group,
                listener: listener,
                core: core
            )
        } catch {
            try? await group.shutdownGracefully()
            throw error
        }
    }

    private static func listen(_ bind: () -> EventLoopFuture<any Channel>) async throws -> any Channel {
        let deadline = ContinuousClock.now + .seconds(5)
        while true {
            do {
                return try await bind().get()
            } catch let error as IOError where error.errnoCode == EADDRINUSE && ContinuousClock.now < deadline {
                try await Task.sleep(for: .milliseconds(20))
            }
        }
    }

    private init(
        port: Int,
        unixSocket: String?,
        record: BrokerRecord,
        settings: BrokerSettings,
        calls: BrokerCalls,
        group: MultiThreadedEventLoopGroup,
        listener: any Channel,
        core: NIOLoopBound<BrokerCore>
    ) {
        self.port = port
        self.unixSocket = unixSocket
        self.record = record
        self.settings = settings
        self.calls = calls
        self.group = group
        self.listener = listener
        self.core = core
    }

    deinit {
        // If a test forgot stop(), the thread ends anyway, some time later.
        if shutdown.withLock({ $0 == nil }) { group.shutdownGracefully { _ in } }
    }

    /// Stops listening, drops all connections and ends the broker's thread. Further calls wait for the first one.
    public func stop() async {
        let task = shutdown.withLock { shutdown in
            if let shutdown { return shutdown }
            let task = Task { [group, listener, core, unixSocket] in
                try? await listener.close()
                if let unixSocket { unlink(unixSocket) }
                try? await listener.eventLoop.submit { core.value.dropAll() }.get()
                try? await group.shutdownGracefully()
            }
            shutdown = task
            return task
        }
        await task.value
    }

    /// Replaces the script. The first entry applies to the next connection.
    public func setScript(_ script: [ConnectionScript]) {
        settings.setScript(script)
    }

    /// Replaces the server's certificate for connections accepted from now on.
    ///
    /// - Throws: An error of NIOSSL if the PEM text is not PEM. An identity of ``TestCertificateAuthority`` always is.
    public func replaceIdentity(_ tls: TestIdentity) throws {
        try settings.replaceIdentity(tls)
    }

    /// The properties of each successful MQTT 5.0 CONNACK, in wire format without their length. Empty by default.
    ///
    /// The broker sends them without enforcing them: with a Maximum QoS of 0 it still accepts QoS 1.
    public var connackProperties: [UInt8] {
        get { settings.connackProperties }
        set { settings.connackProperties = newValue }
    }

    /// True if a client with overlapping subscriptions receives one copy of a message with all their Subscription
    /// Identifiers, instead of one copy for each subscription that has an identifier (MQTT 5.0, 3.3.4). Subscriptions
    /// without an identifier share a copy in both cases.
    public var mergesCopies: Bool {
        get { settings.mergesCopies }
        set { settings.mergesCopies = newValue }
    }

    /// The rate in bytes per second, at least 1,000, at which the broker reads from each connection that it accepts
    /// from now on; `nil`, the default, for no limit. The kernel buffers of both sides accept more bytes than the
    /// broker reads.
    public var readRate: Int? {
        get { settings.readRate }
        set { settings.readRate = newValue }
    }

    /// Closes all connections abruptly: FIN, but no TLS close_notify and no DISCONNECT. Wills are published.
    public func dropAll() {
        onLoop { $0.dropAll() }
    }

    /// Closes all connections with RST.
    public func resetAll() {
        onLoop { $0.resetAll() }
    }

    /// Sends raw bytes to every client whose CONNECT arrived, whether it was answered or not.
    public func inject(_ bytes: [UInt8]) {
        onLoop { $0.inject(bytes) }
    }

    /// Publishes a message as a client does: the broker routes it, and retains it on request.
    public func publish(topic: String, payload: [UInt8], qos: UInt8 = 0, retain: Bool = false) {
        onLoop { core in
            core.route(
                BrokerMessage(
                    topic: topic,
                    payload: ByteBuffer(bytes: payload),
                    qos: min(qos, 2),
                    retain: retain,
                    properties: [],
                    publisher: nil
                )
            )
            core.flush()
        }
    }

    /// Publishes a message with a text as its payload.
    public func publish(topic: String, payload: String, qos: UInt8 = 0, retain: Bool = false) {
        publish(topic: topic, payload: Array(payload.utf8), qos: qos, retain: retain)
    }

    /// Runs a closure on the broker's thread, before packets that a client sends after this call. Does nothing after
    /// ``stop()``.
    func onLoop(_ body: @escaping @Sendable (BrokerCore) -> Void) {
        shutdown.withLock { shutdown in
            guard shutdown == nil else { return }
            calls.add(body)
            listener.eventLoop.execute { [core] in core.value.carryOutCalls() }
        }
    }
}

extension BrokerCore {
    /// Builds the pipeline of an accepted connection.
    fileprivate func accept(_ channel: any Channel) throws {
        let index = record.withState { state in
            defer { state.acceptTimes.append(.now) }
            return state.acceptTimes.count
        }
        let script = settings.takeScript()
        let tls = settings.tls
        let pipeline = channel.pipeline.syncOperations
        let gate = TransportGate(index: index, script: script, isPlain: tls == nil, core: self)
        try pipeline.addHandler(gate)
        if script == .silent {
            try channel.syncOptions?.setOption(.autoRead, value: false)
        }
        if let rate = settings.readRate { try throttle(channel, bytesPerSecond: rate) }
        if script.isTransportOnly { return }
        if let tls {
            try pipeline.addHandler(NIOSSLServerHandler(context: tls))
        }
        if let (webSocket, upgrade) = settings.takeUpgrade() {
            try addWebSocket(webSocket, upgrade, to: channel, gate: gate, script: script)
        } else {
            try pipeline.addHandler(BrokerConnection(gate: gate, script: script, core: self))
        }
    }

    /// Reads fifty times a second, at most a fiftieth of `rate` bytes each time.
    private func throttle(_ channel: any Channel, bytesPerSecond rate: Int) throws {
        let options = channel.syncOptions
        try options?.setOption(.autoRead, value: false)
        try options?.setOption(.maxMessagesPerRead, value: 1)
        try options?.setOption(.socketOption(.so_rcvbuf), value: 65_536)
        try options?.setOption(
            .recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: max(rate / 50, 20)))
        channel.eventLoop.scheduleRepeatedTask(initialDelay: .zero, delay: .milliseconds(20)) { task in
            if channel.isActive { channel.read() } else { task.cancel() }
        }
    }
}

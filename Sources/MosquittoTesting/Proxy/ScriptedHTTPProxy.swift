// SPDX-License-Identifier: Apache-2.0

internal import NIOCore
internal import NIOPosix
internal import NIOSSL
internal import Synchronization

/// An HTTP proxy inside the test process, with or without TLS, which misbehaves on demand: it answers CONNECT with a
/// tunnel, or with any status, header fields and body; slowly, or not to the end.
///
/// ```swift
/// let proxy = try await ScriptedHTTPProxy.start(script: [.answer(status: 502), .connect])
/// configuration.connection.proxy = .http(host: "127.0.0.1", port: proxy.port)
/// ```
///
/// The proxy listens on 127.0.0.1, and connects every request to the port that it names on 127.0.0.1, whatever host it
/// names. It runs on a thread of its own; any thread can read its record.
public final class ScriptedHTTPProxy: Sendable {
    /// The behavior of the proxy on one connection, once a whole request has arrived.
    public enum Script: Sendable, Equatable {
        /// Connects, and answers 200; 502 if nothing listens there.
        case connect
        /// Connects, and answers with these bytes in place of a plain 200, such as a head with more header fields.
        case connectWith([UInt8])
        /// Answers with a status, header fields and a body, and closes.
        case answer(status: Int, reason: String = "", headers: [String: String] = [:], body: String = "")
        /// Answers with any bytes, and closes or stays open and silent.
        case raw([UInt8], close: Bool)
        /// Reads, and never answers.
        case silent
        /// Closes without an answer.
        case close
    }

    /// A received request.
    public struct Request: Sendable, Equatable {
        /// The method, `CONNECT` for a client that means a proxy.
        public var method: String
        /// The target, for CONNECT `host:port`.
        public var target: String
        /// The header fields, with names in lower case.
        public var headers: [String: String]
    }

    struct State {
        var script: [Script]
        var taken = 0
        var authorization: String?
        var pause: Duration?
        var tls: NIOSSLContext?
        var requests: [Request] = []
    }

    /// The port on which the proxy listens.
    public let port: Int

    private let state: SharedProxyState
    private let group: MultiThreadedEventLoopGroup
    private let listener: any Channel
    private let connections: NIOLoopBound<OpenChannels>
    private let shutdown = Mutex<Task<Void, Never>?>(nil)

    /// Starts a proxy on a free port.
    ///
    /// - Parameters:
    ///   - tls: If given, the proxy speaks TLS with this identity, as an `https` proxy does.
    ///   - authorization: The value of `Proxy-Authorization` that the proxy demands. The answer to other requests is
    ///     407, and they take no entry of the script.
    ///   - pause: If given, the proxy sends the head of each answer byte by byte, with this pause between two bytes.
    ///   - script: The behavior on the first, second, ... connection. The last entry repeats.
    /// - Throws: An error of SwiftNIO.
    public static func start(
        tls: TestIdentity? = nil,
        authorization: String? = nil,
        pause: Duration? = nil,
        script: [Script] = [.connect]
    ) async throws -> ScriptedHTTPProxy {
        let context = try tls.map { try $0.serverContext() }
        let state = SharedProxyState(State(script: script, authorization: authorization, pause: pause, tls: context))
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        do {
            let loop = group.next()
            let connections = try await loop.submit { NIOLoopBound(OpenChannels(), eventLoop: loop) }.get()
            let listener = try await ServerBootstrap(group: group)
                .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
                .childChannelOption(.allowRemoteHalfClosure, value: true)
                .childChannelInitializer { channel in
                    // The group has one thread, so this is the loop of the connections too.
                    channel.eventLoop.makeCompletedFuture {
                        connections.value.opened(channel)
                        if let context = state.withState({ $0.tls }) {
                            try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: context))
                        }
                        try channel.pipeline.syncOperations.addHandler(
                            ProxyRequestHandler(state, connections.value))
                    }
                }
                .bind(host: "127.0.0.1", port: 0).get()
            guard let port = listener.localAddress?.port else { throw MosquittoTestingError.listenerClosed }
            return ScriptedHTTPProxy(port, state, group, listener, connections)
        } catch {
            try? await group.shutdownGracefully()
            throw error
        }
    }

    private init(
        _ port: Int, _ state: SharedProxyState, _ group: MultiThreadedEventLoopGroup, _ listener: any Channel,
        _ connections: NIOLoopBound<OpenChannels>
    ) {
        self.port = port
        self.state = state
        self.group = group
        self.listener = listener
        self.connections = connections
    }

    deinit {
        // If a test forgot stop(), the thread ends anyway, some time later.
        if shutdown.withLock({ $0 == nil }) { group.shutdownGracefully { _ in } }
    }

    /// Stops listening, drops all connections and ends the proxy's thread. Further calls wait for the first one.
    public func stop() async {
        let task = shutdown.withLock { shutdown in
            if let shutdown { return shutdown }
            let task = Task { [group, listener, connections] in
                try? await listener.close()
                try? await listener.eventLoop.submit { connections.value.closeAll() }.get()
                try? await group.shutdownGracefully()
            }
            shutdown = task
            return task
        }
        await task.value
    }

    /// The requests so far, in order of arrival, including those answered with 407.
    public var requests: [Request] { state.withState { $0.requests } }

    /// The value of `Proxy-Authorization` that the proxy demands; `nil` for none.
    public var authorization: String? {
        get { state.withState { $0.authorization } }
        set { state.withState { $0.authorization = newValue } }
    }

    /// Replaces the script. The first entry applies to the next connection.
    public func setScript(_ script: [Script]) {
        state.withState { state in
            state.script = script
            state.taken = 0
        }
    }

    /// Replaces the certificate of a proxy with TLS for connections accepted from now on.
    ///
    /// - Throws: An error of NIOSSL if the PEM text is not PEM.
    public func replaceIdentity(_ tls: TestIdentity) throws {
        let context = try tls.serverContext()
        state.withState { $0.tls = context }
    }

    /// Closes all connections, with and without a tunnel, at once.
    public func dropAll() {
        shutdown.withLock { shutdown in
            guard shutdown == nil else { return }
            listener.eventLoop.execute { [connections] in connections.value.closeAll() }
        }
    }
}

/// The part of a proxy that a test and the proxy's thread share.
final class SharedProxyState: Sendable {
    private let state: Mutex<ScriptedHTTPProxy.State>

    init(_ state: ScriptedHTTPProxy.State) { self.state = Mutex(state) }

    func withState<R: Sendable>(_ body: (inout ScriptedHTTPProxy.State) -> R) -> R { state.withLock { body(&$0) } }

    /// Records a request. Returns the script for it, or `nil` for a 407.
    func received(_ request: ScriptedHTTPProxy.Request) -> ScriptedHTTPProxy.Script? {
        state.withLock { state in
            state.requests.append(request)
            if let wanted = state.authorization, request.headers["proxy-authorization"] != wanted { return nil }
            defer { state.taken += 1 }
            return state.taken < state.script.count ? state.script[state.taken] : state.script.last ?? .connect
        }
    }
}

/// The connections of a proxy. Confined to its event loop.
final class OpenChannels {
    private var channels: [ObjectIdentifier: any Channel] = [:]

    func opened(_ channel: any Channel) { channels[ObjectIdentifier(channel)] = channel }
    func closed(_ channel: any Channel) { channels[ObjectIdentifier(channel)] = nil }
    func closeAll() { for channel in channels.values { channel.close(promise: nil) } }
}

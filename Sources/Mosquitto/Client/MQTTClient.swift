public import Logging
public import ServiceLifecycle

/// A client of one MQTT broker, which connects, retries, rotates its credentials and restores its subscriptions by itself.
///
/// ```swift
/// var configuration = MQTTClientConfiguration(host: "broker.example.com")
/// configuration.credentials = .file("/var/run/secrets/token", username: "device-1")
/// try await withMQTTClient(configuration, logger: logger) { client in
///     try await client.publish("21.5", to: "sensors/kitchen/temperature")
/// }
/// ```
///
/// Something has to run it: ``withMQTTClient(_:eventLoop:logger:_:)``, a task that calls ``run()``, a `ServiceGroup`, or
/// ``start()``. Every method can be called from any task or thread, before the client runs too: a publish or subscribe
/// waits for the connection.
public final class MQTTClient: Sendable, Service {
    let session: Session
    let shared: SharedState
    let responses: ResponseRouter
    /// The configuration that it was made with, and the client identifier that it has drawn.
    public let configuration: MQTTClientConfiguration

    /// A client that is not yet running. The configuration is checked when it starts.
    ///
    /// - Parameters:
    ///   - eventLoop: the thread that serves the connection. One shared loop serves all clients by default.
    ///   - configuration: what it needs to know.
    ///   - logger: connections and rotations are logged at info, failures at warning, attempts at debug.
    public convenience init(
        _ configuration: MQTTClientConfiguration, eventLoop: MosquittoEventLoop = .shared,
        logger: Logger = Logger(label: "mosquitto")
    ) {
        self.init(configuration, eventLoop: eventLoop, logger: logger) { await Resolver.shared.resolve($0) }
    }

    init(
        _ configuration: MQTTClientConfiguration, eventLoop: MosquittoEventLoop, logger: Logger,
        resolve: @escaping @Sendable (String) async -> Resolver.Answer
    ) {
        let configuration = configuration.drawingClientID()
        self.configuration = configuration
        shared = SharedState(
            configuration.queue, metrics: ClientMetrics(configuration.metrics, loop: eventLoop.core))
        session = Session(configuration, eventLoop: eventLoop, shared: shared, logger: logger, resolve: resolve)
        responses = ResponseRouter(session, topic: configuration.effectiveResponseTopic)
    }

    deinit { session.abandon() }

    /// Owns the connection until the client is shut down or stopped.
    ///
    /// Returns after ``shutdown()`` or a graceful shutdown of the service group; throws the error that stopped the client,
    /// ``MQTTError/Code/cancelled`` if the task was cancelled, or ``MQTTError/Code/alreadyRunning`` at a second call. A
    /// cancellation ends a connection with a DISCONNECT, without waiting for acknowledgements.
    public func run() async throws(MQTTError) {
        try await session.run()
    }

    /// Runs the client in the background, until ``shutdown()`` or until the last reference to it is gone, which disconnects.
    ///
    /// Returns at once, or, as ``MQTTClientConfiguration/firstConnection`` says, when there is a first connection. Throws if the
    /// configuration is invalid, if the client runs already, or if the first connection is awaited and does not come: the
    /// client has stopped then. If the task is cancelled while it waits, the client is ended, and
    /// ``MQTTError/Code/cancelled`` thrown. What ends the client later is seen by ``state``, ``events()`` and the calls that wait.
    public func start() async throws(MQTTError) {
        try configuration.validate()
        guard session.claimRun() else {
            throw MQTTError(.alreadyRunning, "the client was started before; make a new one")
        }
        // The task holds the session and not the client, so that the client's deinit can end it.
        Task { [session] in await session.runInBackground() }
        guard configuration.firstConnection != .background else { return }
        do throws(MQTTError) {
            _ = try await session.waitUntilConnected(timeout: nil)
        } catch {
            if error.code == .cancelled { try? await session.shutDownAndWait(isGraceful: false) }
            throw error
        }
    }

    /// Ends a running client: sends what it has accepted, waits for the acknowledgements and for the ends of QoS 2 deliveries, sends
    /// DISCONNECT and closes. Returns when it has ended.
    ///
    /// The wait goes on while bytes leave this machine, and ends when ``MQTTTimeouts/drain`` has passed without any. Without a
    /// connection, an attempt that is under way gets as long if messages wait; a client that waits for its next attempt ends at once.
    ///
    /// - Throws: ``MQTTError/Code/unsent`` with the number of messages that were not sent, or not acknowledged. The client has ended
    ///   then too, and a publish that waited for one of them has thrown.
    public func shutdown() async throws(MQTTError) {
        try await session.shutDownAndWait(isGraceful: true)
    }

    /// Ends a running client as ``shutdown()`` does, and tells the broker more; MQTT 5.0 only.
    ///
    /// - Throws: ``MQTTError/Code/invalidProperty`` or ``MQTTError/Code/unsupported`` if that cannot be said, when nothing is done;
    ///   what ``shutdown()`` throws.
    public func shutdown(_ disconnect: MQTTDisconnect) async throws(MQTTError) {
        try disconnect.validate(configuration)
        try await session.shutDownAndWait(isGraceful: true, disconnect)
    }

    /// Waits until there is a connection.
    ///
    /// Throws ``MQTTError/Code/timeout`` with the last failure in its message after `timeout`, the terminal error if the
    /// client stops, and ``MQTTError/Code/cancelled`` if the task is cancelled.
    @discardableResult
    public func waitUntilConnected(timeout: Duration? = nil) async throws(MQTTError) -> MQTTConnectionInfo {
        try await session.waitUntilConnected(timeout: timeout)
    }

    /// Tries again at once if the client waits for its next attempt, and lets the delays start afresh: for a caller that
    /// knows more, such as that the network is back. Nothing else changes: a connection or an attempt that is under way goes
    /// on. The attempt still counts in ``MQTTRetryPolicy/budget``.
    public func reconnectNow() async {
        await session.reconnectNow()
    }

    /// Where the client stands now.
    public var state: MQTTConnectionState { shared.state }

    /// The connection events from now on. Every call gives a sequence of its own.
    public func events() -> MQTTConnectionEvents {
        MQTTConnectionEvents(stream: shared.makeEventStream(), shared: shared)
    }

    /// Changes the credentials now instead of when they are due: asks the provider, and puts what it gives in the place of the
    /// old ones.
    ///
    /// Returns when the broker has the new credentials, or with ``MQTTRotation/onNextConnect`` when the client has them.
    /// ``MQTTRotation/reauthenticate`` needs ``MQTTClientConfiguration/authenticator``. Throws ``MQTTError/Code/credentials``
    /// if the provider fails or has nothing new, ``MQTTError/Code/invalidConfiguration`` if there is no provider or no
    /// authenticator, ``MQTTError/Code/closed`` if the client is not connected, and ``MQTTError/Code/cancelled``.
    public func rotateCredentials(_ rotation: MQTTRotation = .reconnectNow) async throws(MQTTError) {
        if rotation == .reauthenticate, configuration.authenticator == nil {
            throw .invalid(.invalidConfiguration, "there is no authenticator to re-authenticate with")
        }
        try await session.rotateCredentials(rotation)
    }

    /// Reconnects gracefully, with the client certificate and the trust that files and providers have now.
    ///
    /// A file that has changed is read before every attempt anyway; this is for a certificate that has to take effect now. The new
    /// certificate is loaded first: if that fails, ``MQTTError/Code/tlsConfiguration`` or ``MQTTError/Code/credentials`` is thrown,
    /// and the connection stays. Then unacknowledged publishes are waited for, up to ``MQTTTimeouts/drain``, and the
    /// client reconnects. Returns when there is a connection again. Throws ``MQTTError/Code/invalidConfiguration`` without TLS,
    /// ``MQTTError/Code/closed`` if the client is not connected, and ``MQTTError/Code/cancelled``.
    public func rotateIdentity() async throws(MQTTError) {
        guard let tls = configuration.tls else {
            throw .invalid(.invalidConfiguration, "there is no TLS, and no client certificate to rotate")
        }
        try await session.rotateIdentity(tls)
    }
}

/// Runs a client for as long as `body` runs, then shuts it down gracefully.
///
/// `body` begins at once, or, as ``MQTTClientConfiguration/firstConnection`` says, with the first connection. If the client
/// stops by itself, `body` is cancelled and the client's error is thrown. When `body` has returned, messages that it enqueued are
/// sent; ``MQTTError/Code/unsent`` is thrown if that cannot be done, see ``MQTTClient/shutdown()``.
@discardableResult
public func withMQTTClient<R: Sendable>(
    _ configuration: MQTTClientConfiguration, eventLoop: MosquittoEventLoop = .shared,
    logger: Logger = Logger(label: "mosquitto"),
    _ body: @escaping @Sendable (MQTTClient) async throws -> R
) async throws -> R {
    let client = MQTTClient(configuration, eventLoop: eventLoop, logger: logger)
    return try await withThrowingTaskGroup(of: R?.self) { group in
        group.addTask {
            try await client.run()
            return nil
        }
        group.addTask {
            if configuration.firstConnection != .background { try await client.waitUntilConnected() }
            return try await body(client)
        }
        do {
            while let result = try await group.next() {
                if let value = result {
                    var unsent: MQTTError?
                    do throws(MQTTError) { try await client.shutdown() } catch { unsent = error }
                    try? await group.waitForAll()
                    if let unsent { throw unsent }
                    return value
                }
                // The client was shut down from within the body, which may go on.
            }
        } catch {
            // The body's own error goes out after a graceful end; the client's error cancels the body.
            if case .stopped = client.state { group.cancelAll() } else { try? await client.shutdown() }
            if let stopped = client.terminalError { throw stopped }
            throw error
        }
        throw MQTTError(.stopped, "the client has stopped")
    }
}

extension MQTTClient {
    var terminalError: MQTTError? {
        if case .stopped(let error?) = state { error } else { nil }
    }
}

// SPDX-License-Identifier: Apache-2.0

public import Logging

/// A client of an MQTT broker that connects, retries, rotates its credentials and restores its subscriptions by itself.
///
/// ```swift
/// var configuration = MQTTClientConfiguration(host: "broker.example.com")
/// configuration.credentials = .file("/var/run/secrets/token", username: "device-1")
/// try await withMQTTClient(configuration, logger: logger) { client in
///     try await client.publish("21.5", to: "sensors/kitchen/temperature")
/// }
/// ```
///
/// A client must be run: by ``withMQTTClient(_:eventLoop:logger:_:)``, a task that calls ``run()``, a `ServiceGroup`,
/// or ``start()``. All methods can be called from any task or thread, even before the client runs: a publish or
/// subscribe waits for the connection.
public final class MQTTClient: Sendable {
    let session: Session
    let shared: SharedState
    let responses: ResponseRouter
    /// The configuration of the client, including the generated client identifier if none was set.
    public var configuration: MQTTClientConfiguration { session.configuration }

    /// Creates a client that is not yet running. The configuration is validated when the client starts.
    ///
    /// - Parameters:
    ///   - eventLoop: the event loop that serves the connection. By default all clients share one.
    ///   - configuration: the client's configuration.
    ///   - logger: the logger: connections and rotations at info, failures at warning, attempts at debug.
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
        shared = SharedState(
            configuration.publishing.queue, metrics: ClientMetrics(configuration, loop: eventLoop.core))
        session = Session(configuration, eventLoop: eventLoop, shared: shared, logger: logger, resolve: resolve)
        responses = ResponseRouter(session, topic: configuration.effectiveResponseTopic)
    }

    deinit { session.abandon() }

    /// Runs the client until it is shut down or stops.
    ///
    /// Returns after ``shutdown()`` or a graceful shutdown of the service group. Throws the error that stopped the
    /// client, ``MQTTError/Code/cancelled`` if the task was cancelled, or ``MQTTError/Code/alreadyRunning`` at a second
    /// call. A cancellation closes the connection with a DISCONNECT, without waiting for acknowledgements.
    public func run() async throws(MQTTError) {
        try await session.run()
    }

    /// Runs the client in the background until ``shutdown()``, or until the last reference to the client is released,
    /// which disconnects it.
    ///
    /// Returns immediately or after the first connection, as configured by ``MQTTConnectionOptions/firstConnection``.
    /// Throws if the configuration is invalid, if the client is already running, or if the awaited first connection
    /// fails, in which case the client has stopped. If the task is cancelled while it waits, the client stops and the
    /// call throws ``MQTTError/Code/cancelled``. Later errors are reported by ``state``, ``events()`` and waiting
    /// calls.
    public func start() async throws(MQTTError) {
        try configuration.validate()
        guard session.claimRun() else {
            throw MQTTError(.alreadyRunning, "the client was started before; make a new one")
        }
        // The task retains the session and not the client, so that the client's deinit can stop the session.
        Task { [session] in await session.runInBackground() }
        guard configuration.connection.firstConnection != .background else { return }
        do throws(MQTTError) {
            _ = try await session.waitUntilConnected(timeout: nil)
        } catch {
            if error.code == .cancelled { try? await session.shutDownAndWait(isGraceful: false) }
            throw error
        }
    }

    /// Shuts the client down: sends all accepted messages, waits for their acknowledgements and for the completion of
    /// incoming QoS 2 deliveries, sends DISCONNECT and closes the connection. Returns when the client has stopped.
    ///
    /// The client waits while bytes leave the machine, and gives up when ``MQTTTimeouts/drain`` has passed without
    /// progress. Without a connection, an attempt in progress gets the same time if messages are waiting; a client that
    /// waits for its next attempt stops at once.
    ///
    /// - Throws: ``MQTTError/Code/unsent`` with the number of messages that were not sent or not acknowledged. The
    ///   client has stopped in this case too, and publish calls that waited for one of the messages have thrown.
    public func shutdown() async throws(MQTTError) {
        try await session.shutDownAndWait(isGraceful: true)
    }

    /// Shuts the client down as ``shutdown()`` does, with additional fields in the DISCONNECT; MQTT 5.0 only.
    ///
    /// - Throws: ``MQTTError/Code/invalidProperty`` or ``MQTTError/Code/unsupported`` if the fields cannot be sent, in
    ///   which case the client keeps running; any error of ``shutdown()``.
    public func shutdown(_ disconnect: MQTTDisconnect) async throws(MQTTError) {
        try disconnect.validate(configuration)
        try configuration.platform?.limits.check(disconnect)
        try await session.shutDownAndWait(isGraceful: true, disconnect)
    }

    /// Waits until the client is connected.
    ///
    /// Throws ``MQTTError/Code/timeout`` after `timeout`, with the last failure in its message; the terminal error if
    /// the client stops; and ``MQTTError/Code/cancelled`` if the task is cancelled.
    @discardableResult
    public func waitUntilConnected(timeout: Duration? = nil) async throws(MQTTError) -> MQTTConnectionInfo {
        try await session.waitUntilConnected(timeout: timeout)
    }

    /// Retries at once if the client is waiting for its next attempt, and resets the delays: for a caller that knows,
    /// for instance, that the network is back. A connection or an attempt in progress is not affected. The attempt
    /// still counts in ``MQTTRetryPolicy/budget``.
    public func reconnectNow() async {
        await session.reconnectNow()
    }

    /// The current state of the connection.
    public var state: MQTTConnectionState { shared.state }

    /// Returns the connection events from now on. Every call returns an independent sequence.
    public func events() -> MQTTConnectionEvents {
        let (stream, end) = shared.makeEventStream()
        return MQTTConnectionEvents(stream: stream, end: end, shared: shared)
    }

    /// Rotates the credentials now instead of when they are due: asks the provider, and replaces the current
    /// credentials.
    ///
    /// Returns when the broker has accepted the new credentials, or with ``MQTTRotation/onNextConnect`` when the client
    /// has received them. ``MQTTRotation/reauthenticate`` needs ``MQTTClientConfiguration/authenticator``. Throws
    /// ``MQTTError/Code/credentials`` if the provider fails or returns no new credentials,
    /// ``MQTTError/Code/invalidConfiguration`` if there is no provider or no authenticator, ``MQTTError/Code/closed``
    /// if the client is not connected, and ``MQTTError/Code/cancelled``.
    public func rotateCredentials(_ rotation: MQTTRotation = .reconnectNow) async throws(MQTTError) {
        if rotation == .reauthenticate, configuration.authenticator == nil {
            throw .invalid(.invalidConfiguration, "there is no authenticator to re-authenticate with")
        }
        try await session.rotateCredentials(rotation)
    }

    /// Reconnects gracefully with the current client certificate and trust of the configured files and providers.
    ///
    /// Changed files are read before every attempt anyway; this call is for a certificate that must take effect now.
    /// The new certificate is loaded first: if that fails, the call throws ``MQTTError/Code/tlsConfiguration`` or
    /// ``MQTTError/Code/credentials``, and the connection stays up. The client then waits for unacknowledged publishes,
    /// up to ``MQTTTimeouts/drain``, and reconnects. Returns when the client is connected again. Throws
    /// ``MQTTError/Code/invalidConfiguration`` without TLS, ``MQTTError/Code/closed`` if the client is not connected,
    /// and ``MQTTError/Code/cancelled``.
    public func rotateIdentity() async throws(MQTTError) {
        guard let tls = configuration.tls else {
            throw .invalid(.invalidConfiguration, "there is no TLS, and no client certificate to rotate")
        }
        try await session.rotateIdentity(tls)
    }
}

/// Runs a client for as long as `body` runs, then shuts it down gracefully.
///
/// `body` begins immediately or after the first connection, as configured by
/// ``MQTTConnectionOptions/firstConnection``. If the client stops by itself, `body` is cancelled and the client's
/// error is thrown. After `body` has returned, the messages that it enqueued are sent; the call throws
/// ``MQTTError/Code/unsent`` if that fails, see ``MQTTClient/shutdown()``.
@discardableResult
public func withMQTTClient<R: Sendable>(
    _ configuration: MQTTClientConfiguration, eventLoop: MosquittoEventLoop = .shared,
    logger: Logger = Logger(label: "mosquitto"),
    _ body: @escaping @Sendable (MQTTClient) async throws -> R
) async throws -> R {
    let client = MQTTClient(configuration, eventLoop: eventLoop, logger: logger)
    // The body may end before the run begins. Its messages are sent nevertheless.
    _ = client.session.claimRun()
    return try await withThrowingTaskGroup(of: R?.self) { group in
        group.addTask {
            try await client.session.runClaimed()
            return nil
        }
        group.addTask {
            if configuration.connection.firstConnection != .background { try await client.waitUntilConnected() }
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
                // The client was shut down from within the body, which may still be running.
            }
        } catch {
            // An error of the body is thrown after a graceful shutdown; an error of the client cancels the body.
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

extension MQTTClient: CustomStringConvertible, CustomReflectable {
    public var description: String { "MQTTClient(\(quoted(configuration.clientID ?? "")))" }

    /// The mirror that `dump` shows: the client's identifier and state. What the client holds may be secret.
    public var customMirror: Mirror {
        Mirror(self, children: ["clientID": configuration.clientID ?? "", "state": state], displayStyle: .class)
    }
}

// SPDX-License-Identifier: Apache-2.0

import Logging
import Mosquitto
import UnixSignals

/// Runs a client for one command, and ends with the exit status of mosquitto's command.
struct ClientRun: Sendable {
    private let configuration: MQTTClientConfiguration
    private let behavior: CommandBehavior
    private let options: ConnectionOptions
    private let healthFile: String?
    private let timeout: Duration?
    private let farewell: MQTTDisconnect
    /// The DISCONNECT that is sent when a signal or the time limit ends the run.
    private let earlyFarewell: MQTTDisconnect

    /// - Parameters:
    ///   - receiveMaximum: the number of messages that the broker may send ahead, unless an option sets it.
    ///   - timeout: the maximum run time of a subscriber.
    init(
        _ options: ConnectionOptions, _ behavior: CommandBehavior, _ health: HealthOptions,
        receiveMaximum: UInt16? = nil, timeout: Duration? = nil
    ) throws {
        var configuration = try options.configuration(behavior)
        if configuration.receiving.receiveMaximum == .max {
            configuration.receiving.receiveMaximum = receiveMaximum ?? 20
        }
        // Overlapping filters: what the broker sends is printed, each copy, as mosquitto_sub does.
        if behavior.isReceiver { configuration.receiving.usesSubscriptionIdentifiers = false }
        if behavior.isReceiver, configuration.session != .clean || configuration.connect.cleanSessionExpiry > .zero {
            // The broker keeps what is not acknowledged: nothing is acknowledged before it is written.
            configuration.acknowledgement = .afterHandling
        }
        self.configuration = configuration
        self.behavior = behavior
        self.options = options
        healthFile = health.path
        self.timeout = timeout
        farewell = try options.farewell(isEarly: false)
        earlyFarewell = try options.farewell(isEarly: true)
        if configuration.session == .clean, configuration.connect.cleanSessionExpiry == .zero,
            farewell.sessionExpiry ?? .zero > .zero
        {
            // MQTT 5.0, section 3.14.2.2.2.
            throw CommandFailure.usage(
                "-D disconnect session-expiry-interval needs -x: DISCONNECT cannot keep what CONNECT did not ask for.")
        }
    }

    /// The reason for shutting down a client that had not failed.
    private enum End: Sendable { case timedOut, interrupted, unread }

    /// Returns true if the broker keeps a session, so that a message is acknowledged only once it is written.
    static func writesEach(_ client: MQTTClient) -> Bool { client.configuration.acknowledgement == .afterHandling }

    /// Runs the client until `body` has ended. The body of a subscriber ends when the client has stopped.
    func run(_ body: @escaping @Sendable (MQTTClient) async throws -> Void) async throws {
        // Traps signals before a connection exists that a signal could end without a DISCONNECT.
        let signals = behavior.isReceiver ? await TrappedSignals(behavior.signals) : nil
        let client = MQTTClient(configuration, logger: logger)
        let reporter = try await reporter(of: client)
        let outcome: Result<Void, any Error>
        do { outcome = .success(try await run(client, signals, body)) } catch { outcome = .failure(error) }
        await reporter?.stop()
        try outcome.get()
    }

    private func run(
        _ client: MQTTClient, _ signals: TrappedSignals?, _ body: @escaping @Sendable (MQTTClient) async throws -> Void
    ) async throws {
        let events = client.events()
        let watcher = Task { await watch(events) }
        // The body starts before the client does, and runs here up to its first suspension: a subscription must be
        // known before the connection is made, or the messages of a resumed session find no consumer.
        let work = Task.begunHere { try await body(client) }
        let runner = Task {
            let error = await Self.run(client)
            // A subscriber still has to print the messages that it has received.
            if !behavior.isReceiver { work.cancel() }
            return error
        }
        let end = FirstValue<End>()
        // Shuts the client down instead of cancelling the task: received messages are still printed, and a scope that
        // ended on a live connection could unsubscribe, and lose the messages kept for the subscription.
        let limit = timeout.map { timeout in
            Task {
                try await Task.sleep(for: timeout)
                end.set(.timedOut)
                await leave(client, early: true)
            }
        }
        let interruption = signals.map { signals in
            Task {
                guard let signal = await signals.first() else { return }
                end.set(signal == .sigalrm ? .timedOut : .interrupted)
                await leave(client, early: true)
            }
        }
        if behavior.isReceiver {
            StandardOutput.whenUnread {
                end.set(.unread)
                Task { await leave(client) }
            }
        }
        var failure: (any Error)?
        do { try await work.value } catch { failure = error }
        let unsent = await leave(client)
        limit?.cancel()
        interruption?.cancel()
        let stopped = await runner.value
        let wasConnected = await watcher.value
        switch end.value {
        case .timedOut where wasConnected || behavior == .request || !isReference:
            throw self.failure(options.retry.events ? "Error: Timed out" : "Timed out", status: 27)
        case .timedOut, .interrupted:
            // mosquitto_sub calls exit(-1) if no CONNACK has arrived.
            if !wasConnected { throw CommandFailure(lines: [], status: 255) }
        // As a write that finds nobody: no failure of this command.
        case .unread: break
        case nil:
            if let error = stopped ?? failure ?? unsent { throw self.failure(error) }
        }
    }

    private func reporter(of client: MQTTClient) async throws -> HealthReporter? {
        guard let healthFile else { return nil }
        return try await HealthReporter(
            healthFile, client, deadly: [.sigint, .sigterm].filter { !behavior.signals.contains($0) },
            warns: !options.quiet && !options.retry.events)
    }

    /// Ends the client with the DISCONNECT that the flags ask for. Returns an error if messages could not be sent.
    @discardableResult
    func leave(_ client: MQTTClient, early: Bool = false) async -> MQTTError? {
        do throws(MQTTError) {
            try await client.shutdown(early ? earlyFarewell : farewell)
            return nil
        } catch {
            // The DISCONNECT was checked before.
            return error
        }
    }

    private static func run(_ client: MQTTClient) async -> MQTTError? {
        do throws(MQTTError) {
            try await client.run()
            return nil
        } catch {
            return error
        }
    }

    /// Prints the events until they end. Returns whether the client was ever connected.
    private func watch(_ events: MQTTConnectionEvents) async -> Bool {
        var wasConnected = false
        for await event in events {
            if case .connected = event.kind { wasConnected = true }
            if options.retry.events { standardError(EventLine(event).json) }
        }
        return wasConnected
    }

    /// With -d to standard output, as mosquitto's commands do; standard error is for events and the last error.
    private var logger: Logger {
        guard options.debug else { return Logger(label: "mosq") { _ in SwiftLogNoOpLogHandler() } }
        return Logger(label: "mosq") { _ in DebugLog(printsAll: !isReference) }
    }

    /// True if the command behaves as mosquitto's own does: without `--retry` and `--events`.
    private var isReference: Bool { !options.retry.events && !options.retry.retry }

    private func failure(_ error: any Error) -> CommandFailure {
        if let failure = error as? CommandFailure { return failure }
        guard let error = error as? MQTTError else { return failure("Error: \(error)", status: 1) }
        let status = CommandExit(error, in: behavior, isReference: isReference)
        return CommandFailure(lines: options.quiet ? [] : status.lines, status: status.code)
    }

    private func failure(_ line: String, status: Int32) -> CommandFailure {
        CommandFailure(lines: options.quiet ? [] : [line], status: status)
    }
}

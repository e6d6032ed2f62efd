import Logging
import Mosquitto
import UnixSignals

#if canImport(Darwin)
import Darwin
#elseif canImport(Musl)
import Musl
#else
import Glibc
#endif

/// Runs a client for one command, and ends with the exit status of mosquitto's command.
struct ClientRun: Sendable {
    private let configuration: MQTTClientConfiguration
    private let behavior: CommandBehavior
    private let options: ConnectionOptions
    private let timeout: Duration?

    /// - Parameter timeout: how long a subscriber runs at most.
    init(
        _ options: ConnectionOptions, _ behavior: CommandBehavior, receiveMaximum: UInt16? = nil,
        timeout: Duration? = nil
    ) throws {
        var configuration = try options.configuration(behavior)
        if let receiveMaximum { configuration.receiveMaximum = receiveMaximum }
        self.configuration = configuration
        self.behavior = behavior
        self.options = options
        self.timeout = timeout
    }

    /// Why a client was shut down that had not failed.
    private enum End: Sendable { case timedOut, interrupted }

    /// Runs the client until `body` has ended, which that of a subscriber does when the client has stopped.
    func run(_ body: @escaping @Sendable (MQTTClient) async throws -> Void) async throws {
        let client = MQTTClient(configuration, logger: logger)
        let events = client.events()
        let watcher = Task { await watch(events) }
        // Before the client runs, and here up to its first wait: a subscription must be known before the connection is
        // there, or the messages of a session that is resumed find nobody.
        let work = Task.immediate { try await body(client) }
        let runner = Task {
            let error = await Self.run(client)
            // A subscriber has still to print what it has received.
            if behavior != .subscribe { work.cancel() }
            return error
        }
        let end = FirstValue<End>()
        // The client is shut down, and not the task cancelled: what was received is still printed, and a subscription whose
        // scope ends on a live connection would be given up, with all that a persistent session has kept for it.
        let limit = timeout.map { timeout in
            Task {
                try await Task.sleep(for: timeout)
                end.set(.timedOut)
                await client.shutdown()
            }
        }
        let signals = behavior.isInterruptible ? await Signals() : nil
        let interruption = signals.map { signals in
            Task {
                guard await signals.first() else { return }
                end.set(.interrupted)
                await client.shutdown()
            }
        }
        var failure: (any Error)?
        do { try await work.value } catch { failure = error }
        await client.shutdown()
        limit?.cancel()
        interruption?.cancel()
        let stopped = await runner.value
        let wasConnected = await watcher.value
        switch end.value {
        case .timedOut:
            throw self.failure(options.retry.events ? "Error: Timed out" : "Timed out", status: 27)
        case .interrupted:
            // mosquitto_sub: exit(-1) before the CONNACK.
            if !wasConnected { throw CommandFailure(lines: [], status: 255) }
        case nil:
            if let error = stopped ?? failure { throw self.failure(error) }
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

    /// Prints the events, and says at their end whether there was a connection.
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
        var logger = Logger(label: "mosq") { StreamLogHandler.standardOutput(label: $0) }
        logger.logLevel = .debug
        return logger
    }

    private func failure(_ error: any Error) -> CommandFailure {
        if let failure = error as? CommandFailure { return failure }
        guard let error = error as? MQTTError else { return failure("Error: \(error)", status: 1) }
        let isReference = !options.retry.events && !options.retry.retry
        let status = CommandExit(error, in: behavior, isReference: isReference)
        return CommandFailure(lines: options.quiet ? [] : status.lines, status: status.code)
    }

    private func failure(_ line: String, status: Int32) -> CommandFailure {
        CommandFailure(lines: options.quiet ? [] : [line], status: status)
    }
}

extension CommandBehavior {
    /// A publisher that is interrupted dies of the signal: what it was told to publish may not have been.
    fileprivate var isInterruptible: Bool { self == .subscribe }
}

/// SIGINT and SIGTERM, trapped from the initializer on.
private struct Signals: Sendable {
    private let sequence: UnixSignalsSequence

    init() async { sequence = await UnixSignalsSequence(trapping: .sigint, .sigterm) }

    /// Waits for the first one. `false` if the task was cancelled before.
    func first() async -> Bool {
        for await _ in sequence {
            // The second one ends the process at once, whatever is in the way of a graceful end.
            signal(SIGINT, SIG_DFL)
            signal(SIGTERM, SIG_DFL)
            return true
        }
        return false
    }
}

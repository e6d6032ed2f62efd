import ArgumentParser
import Logging
import Mosquitto
import UnixSignals

/// Runs a client for one command: events to standard error, signals, a time limit, and the exit status of mosquitto's commands.
struct ClientRun {
    private let configuration: MQTTClientConfiguration
    private let printsEvents: Bool
    private let isQuiet: Bool
    private let timeout: Duration?

    init(_ options: ConnectionOptions, program: String, timeout: Duration? = nil) throws {
        var configuration = try options.configuration(program: program)
        // The end of a command waits for what it has published, however long that takes.
        configuration.timeouts.drain = .seconds(86_400)
        self.configuration = configuration
        printsEvents = options.retry.events
        isQuiet = options.quiet
        self.timeout = timeout
    }

    private enum End: Sendable {
        case finished
        case timedOut
        case interrupted
        case failed(any Error)
    }

    func run(_ body: @escaping @Sendable (MQTTClient) async throws -> Void) async throws {
        // Standard error is for events and the last error; nothing is logged.
        let client = MQTTClient(configuration, logger: Logger(label: "mosq") { _ in SwiftLogNoOpLogHandler() })
        let events = client.events()
        let printer = Task {
            for await event in events where printsEvents { standardError(EventLine(event).json) }
        }
        let end = await withTaskGroup(of: End.self, returning: End.self) { group in
            group.addTask {
                do {
                    try await body(client)
                    return .finished
                } catch {
                    return .failed(error)
                }
            }
            group.addTask {
                await Signals.wait()
                return .interrupted
            }
            if let timeout {
                group.addTask {
                    // Cancelled with the group.
                    try? await Task.sleep(for: timeout)
                    return .timedOut
                }
            }
            do {
                try client.start()
            } catch {
                group.cancelAll()
                return .failed(error)
            }
            let first = await group.next() ?? .finished
            group.cancelAll()
            return first
        }
        await client.shutdown()
        await printer.value
        try report(end)
    }

    private func report(_ end: End) throws {
        switch end {
        case .finished, .interrupted: return
        case .timedOut: throw failure("Timed out", 27)
        case .failed(let error as MQTTError): throw failure(ExitStatus(error))
        case .failed(let error): throw error
        }
    }

    private func failure(_ status: ExitStatus) -> any Error { failure(status.message, status.code) }

    private func failure(_ message: String, _ status: Int32) -> any Error {
        isQuiet
            ? ExitCode(status)
            : CommandFailure(
                message: printsEvents && !message.hasPrefix("Error") ? "Error: \(message)" : message, status: status)
    }
}

/// SIGINT and SIGTERM as something to wait for.
enum Signals {
    static func wait() async {
        for await _ in await UnixSignalsSequence(trapping: .sigint, .sigterm) { return }
    }
}

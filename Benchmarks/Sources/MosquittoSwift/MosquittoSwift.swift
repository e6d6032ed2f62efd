// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Dispatch
import Logging
import Mosquitto

/// One measurement of this library against a sink, by the contract that all programs of `Benchmarks/` follow.
@main
struct MosquittoSwift: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mosquitto-swift", abstract: "Measures swift-mosquitto against a sink, and prints one JSON object."
    )

    @Argument(help: "One of: \(Work.allCases.map(\.rawValue).joined(separator: ", ")).") var work: Work
    @Option(help: "The sink's port on 127.0.0.1.") var port: Int
    @Option(help: "Speak TLS, and trust the authorities in this file.") var cafile: String?
    @Option(help: "Speak MQTT in WebSockets, with this path.") var path: String?
    @Option(help: "How many messages; by default 1,000,000, with latency-qos1 20,000.") var messages: Int?
    @Option(help: "Payload bytes.") var size = 64
    @Option(help: "How many QoS 1 publishes are in flight at most.") var window = 256
    @Option(help: "How many tasks of publish-qos0-awaited publish.") var tasks = 64

    func validate() throws {
        for (name, value) in [("messages", messages ?? 1), ("window", window), ("tasks", tasks)] where value < 1 {
            throw ValidationError("--\(name) must be at least 1")
        }
    }

    /// Not an `async` one: it leaves the first thread in `sigsuspend`, in which valgrind 3.19 crashes.
    func run() {
        Task {
            do { print(try await measure()) } catch { Self.exit(withError: error) }
            Self.exit()
        }
        DispatchSemaphore(value: 0).wait()
    }

    private func measure() async throws -> String {
        let measurement = Measurement(
            messages: messages ?? (work == .latencyQoS1 ? 20_000 : 1_000_000), size: size, window: window, tasks: tasks)
        var logger = Logger(label: "mosquitto-swift") { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = .warning
        let report = try await withMQTTClient(clientConfiguration, logger: logger) { client in
            try await client.waitUntilConnected(timeout: .seconds(10))
            return try await measurement.run(work, client)
        }
        return report.json(program: "swift-mosquitto", work: work.rawValue, messages: measurement.messages)
    }

    private var endpoint: MQTTEndpoint {
        guard let path else { return MQTTEndpoint(host: "localhost", port: port) }
        return cafile == nil
            ? .webSocket(host: "localhost", port: port, path: path)
            : .secureWebSocket(host: "localhost", port: port, path: path)
    }

    /// The properties that a user would set, and no others: the sink's address, the protocol of the other programs, the
    /// window.
    private var clientConfiguration: MQTTClientConfiguration {
        var configuration = MQTTClientConfiguration(
            endpoints: [endpoint], tls: cafile.map { MQTTTLSConfiguration(trust: .file($0)) })
        configuration.version = .v3_1_1
        configuration.publishing.maximumInFlight = window
        return configuration
    }
}

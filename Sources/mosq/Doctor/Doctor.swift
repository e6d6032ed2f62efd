// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Logging
import Mosquitto

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// `mosq doctor`, which finds out why a connection does not work.
struct Doctor: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Walk one connection step by step, and say where it fails, why, and what to do.",
        discussion: "Exit status 0 if all is well, else 1. No token, no password and no signature is ever shown.")

    @Flag(help: "Print one JSON object, for programs.")
    var json = false

    @Option(
        name: [.customShort("t"), .long], parsing: .unconditional,
        help: "The topic of the message that the doctor sends to itself. Default: mosq/doctor/ and a random number.")
    var topic: String?

    @OptionGroup(title: "Connection")
    var connection: ConnectionOptions

    /// The flags for the protocol version of the library's clients, whose refusals have reasons. The commands that
    /// replace mosquitto's have its default instead.
    static let version = ["--protocol-version", "mqttv5"]

    func run() async throws {
        try refuseWhatDoesNothing()
        var configuration = try connection.configuration(.publish)
        configuration.retry = .none
        // One connection, without rotation, metrics or spans.
        configuration.rotation.refreshAt = nil
        #if Metrics
        configuration.metrics = nil
        #endif
        #if Tracing
        configuration.tracing = nil
        #endif
        configuration.timeouts.drain = .seconds(1)
        let topic = self.topic ?? "mosq/doctor/" + String(UInt64.random(in: .min ... .max), radix: 16)
        do { try MQTTTopic(topic).validate() } catch {
            throw CommandFailure(message: "Invalid topic '\(topic)', does it contain '+' or '#'?")
        }
        let reports = try await examine(configuration, topic)
        var output = StandardOutput()
        if json {
            output.write((try DoctorReport(reports).json + "\n").utf8)
            output.flush()
        }
        if !DoctorReport(reports).ok { throw CommandFailure(lines: [], status: 1) }
    }

    private func examine(_ configuration: MQTTClientConfiguration, _ topic: String) async throws -> [ConnectionReport] {
        let limit = try RetryOptions.seconds(connection.retry.connectTimeout, "--connect-timeout")
        // QoS 1 proves more than QoS 0, which has no acknowledgement.
        let qos = max(try connection.messageQoS, .atLeastOnce)
        let text = ReportText(style: .standardOutput(environment: ProcessInfo.processInfo.environment))
        var reports: [ConnectionReport] = []
        for endpoint in configuration.endpoints {
            var one = configuration
            one.endpoints = [endpoint]
            let examination = Examination(
                endpoint: endpoint, configuration: one, limit: limit,
                loopBack: LoopBack(topic: topic, qos: qos, limit: min(limit, .seconds(5))), logger: logger)
            show(["mosq doctor: \(endpoint)", ""])
            let report = await examination.run { step, report in show(text.lines(step, of: report)) }
            show(["", text.summary(report)])
            if endpoint != configuration.endpoints.last { show([""]) }
            reports.append(report)
        }
        return reports
    }

    private func show(_ lines: [String]) {
        if json || connection.quiet || lines.isEmpty { return }
        var output = StandardOutput()
        output.write((lines.joined(separator: "\n") + "\n").utf8)
        output.flush()
    }

    /// The log of -d goes to standard error; standard output is for the report.
    private var logger: Logger {
        guard connection.debug else { return .silent }
        var logger = Logger(label: "mosq") { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = .debug
        return logger
    }

    /// Rejects a flag that would have no effect.
    private func refuseWhatDoesNothing() throws {
        let refused = [
            ("--retry", connection.retry.retry, "the doctor makes one attempt"),
            (
                "--redirect", connection.retry.redirect.map { $0 != "none" } ?? false,
                "the doctor names another server, and does not go there"
            ),
            ("--events", connection.retry.events, "the doctor reports every step itself; use --json"),
            (
                "-c", connection.session.disableCleanSession,
                "the doctor would take messages of the session that is kept"
            ),
        ]
        if let (flag, _, reason) = refused.first(where: \.1) {
            throw CommandFailure(message: "\(flag) cannot be used here: \(reason).")
        }
    }
}

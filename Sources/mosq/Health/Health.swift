// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Mosquitto

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// `mosq health`, the exec probe for a command with `--health-file`.
struct Health: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "health", abstract: "Tell whether a command with --health-file is alive, or ready.",
        discussion: """
            Prints one line. Exit status: 0 if it is, 2 if it is not alive, 3 if it is alive and not ready, 1 for wrong \
            arguments. A broker that is away makes a command unready, and never dead.
            """, helpNames: .long)

    @Argument(help: "The file of --health-file.")
    var file: String

    @Option(
        name: .customLong("max-age"), parsing: .unconditional,
        help: "The age in seconds at which the file, and with it the command, counts as dead. Default: 15.")
    var maximumAge = 15.0

    @Flag(help: "Also ask whether it is connected, with a token that has not expired.")
    var ready = false

    @Option(
        name: .customLong("max-outage"), parsing: .unconditional,
        help: "With --ready: seconds without a connection, after the first one, that count as ready. Default: 0.")
    var maximumOutage: Double?

    /// The exit statuses of failed probes.
    static let (notAlive, notReady): (Int32, Int32) = (2, 3)

    func run() throws {
        let maximumAge = try RetryOptions.seconds(maximumAge, "--max-age") / .seconds(1)
        let policy = try policy()
        let content: [UInt8]
        do throws(FileFailure) {
            content = try FileReader.content(of: file, limit: 65_536).withBytes { Array($0) }
        } catch {
            throw failure("not alive: \(file) \(error.reason)", Self.notAlive)
        }
        guard let report = HealthReport(json: content) else {
            throw failure("not alive: \(file) is not a health file", Self.notAlive)
        }
        guard let age = report.age(now: .now, uptime: SystemClock.sinceBoot / .seconds(1)) else {
            throw failure("not alive: \(file) is from before this machine started", Self.notAlive)
        }
        let written = "written \(Self.text(age)) ago"
        guard age <= maximumAge else {
            throw failure("not alive: \(file) was \(written), more than \(Self.text(maximumAge))", Self.notAlive)
        }
        if let policy, let obstacle = report.obstacle(to: policy, age: age) {
            throw failure("not ready: \(obstacle)\(report.cause); \(written)", Self.notReady)
        }
        say("\(ready ? "ready" : "alive"): \(report.summary); \(written)")
    }

    private func policy() throws -> MQTTReadinessPolicy? {
        guard ready else {
            if maximumOutage != nil { throw CommandFailure(message: "--max-outage needs --ready.") }
            return nil
        }
        var policy = MQTTReadinessPolicy.connected
        if let maximumOutage, maximumOutage != 0 {
            policy.maximumOutage = try RetryOptions.seconds(maximumOutage, "--max-outage")
        }
        return policy
    }

    /// Prints the line, which a supervisor takes from standard output.
    private func failure(_ line: String, _ status: Int32) -> CommandFailure {
        say(line)
        return CommandFailure(lines: [], status: status)
    }

    private func say(_ line: String) {
        var output = StandardOutput()
        output.write((ForeignText.escaping(line, exceptLineBreaks: false) + "\n").utf8)
        output.flush()
    }

    /// Seconds with a tenth.
    static func text(_ seconds: Double) -> String {
        "\((min(max(seconds, -1e10), 1e10) * 10).rounded() / 10) s"
    }
}

extension HealthReport {
    fileprivate var summary: String {
        var text = "\(state) for \(Health.text(stateDuration))"
        if let outage { text += ", \(Health.text(outage)) without a connection\(cause)" }
        return queuedMessages == 0 ? text : text + ", \(queuedMessages) messages queued"
    }

    /// The last failure, if the client has not connected since.
    fileprivate var cause: String {
        guard outage != nil, let lastFailure else { return "" }
        return " (\(lastFailure.message))"
    }
}

// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Mosquitto
import MosquittoTesting

#if os(Linux)
/// Clients that only keep their connections open.
struct Clients: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "TLS clients that are idle: memory a client, processor time and threads.")

    @Option(help: "How many clients.")
    var clients = 10_000

    @Option(help: "How many event loops they share.")
    var loops = 1

    @Option(help: "How long processor time is measured, in seconds.")
    var seconds = 60.0

    @Option(help: "Their keep-alive, in seconds.")
    var keepAlive = 60

    @Option(help: "How many clients memory is counted beyond.")
    var beyond = 100

    @Option(help: "Bound of resident memory a client, in KB.")
    var mostKB = 45.0

    @Option(help: "Bound of processor time, in percent of a core.")
    var mostPercent = 1.0

    func validate() throws {
        if beyond < 1 || clients <= beyond || loops < 1 || seconds <= 0 {
            throw ValidationError("More clients than \(beyond), and more than nothing of the others.")
        }
    }

    func run() async throws {
        try ThisProcess.allow(clients: clients)
        let authority = try TestCertificateAuthority()
        let broker = try await LocalMosquitto.start(tls: authority.serverIdentity(), extraConfiguration: quietBroker)
        let signals = EndingSignals { broker.kill() }
        defer { withExtendedLifetime(signals) {} }
        let loops = (0..<loops).map { _ in MosquittoEventLoop() }
        var common = MQTTClientConfiguration(
            host: "localhost", port: broker.port, tls: .init(trust: .pem(authority.certificatePEM)))
        common.keepAlive = .seconds(keepAlive)
        common.retry.budget = nil
        let configuration = common
        let (clients, seconds, beyond) = (clients, seconds, beyond)
        let seen = try await Crowd.run { start in
            func crowd(_ numbers: Range<Int>) -> [MQTTClient] {
                Crowd(numbers.count, on: loops) { number in
                    var configuration = configuration
                    configuration.clientID = "idle-\(numbers.lowerBound + number)"
                    return configuration
                }.clients
            }
            // Two keep-alive checks, plus the permitted lateness of timers: by then buffers have been released.
            let quiet = configuration.keepAlive / 5 + .seconds(2)
            let first = crowd(0..<beyond)
            try await start(first, 50)
            let few = try await look(quiet)
            print("\(beyond) clients: \(few)")
            let clock = ContinuousClock.now
            let rest = crowd(beyond..<clients)
            try await start(rest, 200)
            let connecting = ContinuousClock.now - clock
            print(
                "\(clients - beyond) more connected in \(milliseconds(connecting)): \(try ThisProcess.residentKB()) KB")
            let many = try await look(quiet)
            print("\(clients) clients: \(many)")
            let (before, start) = (ThisProcess.processorTime(), ContinuousClock.now)
            try await Task.sleep(for: .seconds(seconds))
            let used = (ThisProcess.processorTime() - before) / (ContinuousClock.now - start)
            let threads = try ThisProcess.threads()
            let lost = (first + rest).count { if case .connected = $0.state { false } else { true } }
            return Seen(few: few, many: many, processor: used, threads: threads, lost: lost)
        }
        await broker.terminate()
        try report(seen)
    }

    private struct Look: CustomStringConvertible, Sendable {
        var residentKB: Int
        var threads: Int
        var descriptors: Int

        var description: String { "\(residentKB) KB resident, \(threads) threads, \(descriptors) descriptors" }
    }

    private struct Seen: Sendable {
        var few: Look
        var many: Look
        var processor: Double
        var threads: Int
        var lost: Int
    }

    private func look(_ quiet: Duration) async throws -> Look {
        Look(
            residentKB: try await ThisProcess.settledKB(pause: quiet, deadline: quiet * 10),
            threads: try ThisProcess.threads(), descriptors: try ThisProcess.descriptors())
    }

    private func report(_ seen: Seen) throws {
        var bounds = Bounds()
        let each = Double(seen.many.residentKB - seen.few.residentKB) / Double(clients - beyond)
        bounds.check(
            each <= mostKB, "\(rounded(each)) KB resident a client beyond the first \(beyond); bound \(mostKB)")
        bounds.check(
            seen.processor * 100 < mostPercent,
            "\(rounded(seen.processor * 100, 2)) % of a core in \(seconds) s idle; bound \(mostPercent) %")
        bounds.check(
            seen.threads <= seen.few.threads, "\(seen.threads) threads, and \(seen.few.threads) with \(beyond) clients")
        bounds.check(seen.lost == 0, "\(seen.lost) of \(clients) clients have lost their connections")
        try bounds.enforce()
    }
}
#endif

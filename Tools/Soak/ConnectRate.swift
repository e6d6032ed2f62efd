// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Mosquitto
import MosquittoTesting

#if os(Linux)
/// Many clients that connect as fast as they can, while another one of their event loop is busy.
struct ConnectRate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "connect-rate",
        abstract: "TLS clients that connect at once, with and without resumption, beside a busy client.")

    @Option(help: "How many clients.")
    var clients = 2_000

    @Option(help: "How many of them connect at a time.")
    var atOnce = 200

    @Option(help: "How often both ways are measured.")
    var rounds = 3

    @Option(help: "Bound of the rate with resumption, in rates without.")
    var leastRatio = 1.5

    @Option(help: "Bound of the busy client's 99th percentile, in milliseconds.")
    var mostLatency = 20.0

    func validate() throws {
        if clients < 1 || atOnce < 1 || rounds < 1 { throw ValidationError("More than nothing of each.") }
    }

    func run() async throws {
        try ThisProcess.allow(clients: clients + 10)
        let authority = try TestCertificateAuthority()
        let identity = try authority.serverIdentity()
        let broker = try await LocalMosquitto.start(tls: identity, extraConfiguration: quietBroker)
        // Its answers do not wait for the other broker's handshakes, so that only the loop is measured.
        let busyBroker = try await LocalMosquitto.start(tls: identity, extraConfiguration: quietBroker)
        let signals = EndingSignals {
            broker.kill()
            busyBroker.kill()
        }
        defer { withExtendedLifetime(signals) {} }
        let loop = MosquittoEventLoop()
        let tls = MQTTTLSConfiguration(trust: .pem(authority.certificatePEM))
        let busy = MQTTClientConfiguration(host: "localhost", port: busyBroker.port, tls: tls)
        let seen = try await withMQTTClient(busy, eventLoop: loop, logger: .criticalOnly) { busy in
            let alone = try await RoundTrips.measure(busy) { try await Task.sleep(for: .seconds(3)) }
            print("the busy client alone: \(latencies(alone.times))")
            var seen: [Round] = []
            for number in 0..<rounds {
                // Both ways in turn come first.
                for resumes in number.isMultiple(of: 2) ? [false, true] : [true, false] {
                    let round = try await round(resumes, broker.port, tls, loop, busy)
                    print(round)
                    seen.append(round)
                }
            }
            return seen
        }
        await broker.terminate()
        await busyBroker.terminate()
        try report(seen)
    }

    private struct Round: CustomStringConvertible, Sendable {
        var resumes: Bool
        var rate: Double
        var resumed: Int
        var processor: Duration
        var trips: [Duration]

        var description: String {
            "\(resumes ? "resumed" : "full   ") \(rounded(rate, 0)) connections/s, \(milliseconds(processor)) of processor"
                + " time each, \(resumed) resumed; the busy client: \(latencies(trips))"
        }
    }

    /// The second connection of each client, which has a session of the first one if sessions are kept.
    private func round(
        _ resumes: Bool, _ port: Int, _ tls: MQTTTLSConfiguration, _ loop: MosquittoEventLoop, _ busy: MQTTClient
    ) async throws -> Round {
        var tls = tls
        tls.resumesSessions = resumes
        let (count, atOnce) = (clients, atOnce)
        let clients = Crowd(count, on: [loop]) { [tls] number in
            var configuration = MQTTClientConfiguration(host: "localhost", port: port, tls: tls)
            configuration.clientID = "rate-\(number)"
            configuration.retry.budget = nil
            configuration.credentials = CountingCredentials()
            return configuration
        }.clients
        return try await Crowd.run { start in
            try await start(clients, atOnce)
            let (before, clock) = (ThisProcess.processorTime(), ContinuousClock.now)
            let seen = try await RoundTrips.measure(busy) {
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for (number, client) in clients.enumerated() {
                        if number >= atOnce { try await group.next() }
                        group.addTask { try await client.rotateCredentials() }
                    }
                    try await group.waitForAll()
                }
                return ContinuousClock.now - clock
            }
            let resumed = clients.count { client in
                if case .connected(let info) = client.state { info.tls?.resumed == true } else { false }
            }
            return Round(
                resumes: resumes, rate: Double(count) / (seen.result / .seconds(1)), resumed: resumed,
                processor: (ThisProcess.processorTime() - before) / count, trips: seen.times)
        }
    }

    private func report(_ rounds: [Round]) throws {
        var bounds = Bounds()
        func median(_ resumes: Bool) -> Double {
            let rates = rounds.filter { $0.resumes == resumes }.map(\.rate).sorted()
            return rates[rates.count / 2]
        }
        let ratio = median(true) / median(false)
        bounds.check(
            ratio >= leastRatio,
            "\(rounded(median(true), 0)) connections/s with resumption, \(rounded(median(false), 0)) without: "
                + "\(rounded(ratio, 2)) x; bound \(leastRatio) x")
        let trips = rounds.flatMap(\.trips)
        bounds.check(
            quantile(0.99, trips) < .milliseconds(mostLatency),
            "the busy client meanwhile: \(latencies(trips)); bound of p99 \(mostLatency) ms")
        let notResumed = rounds.filter(\.resumes).map { clients - $0.resumed }.reduce(0, +)
        bounds.check(notResumed == 0, "\(notResumed) connections that were to be resumed were not")
        try bounds.enforce()
    }
}
#endif

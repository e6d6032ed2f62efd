// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Mosquitto
import MosquittoTesting

#if os(Linux)
import Glibc

/// Measures the cost of a reconnect over TLS on this side, in processor time, time, bytes and round trips.
struct Handshakes: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "The cost of TLS handshakes: versions, keys, resumption, client certificates.")

    @Option(help: "How many reconnects of each kind in each round.")
    var handshakes = 100

    @Option(help: "How many rounds; each has all kinds, in another order.")
    var rounds = 7

    @Option(help: "Whom to shake hands with: mosquitto, or boringssl, whose processor time is in this process too.")
    var peer = HandshakePeer.mosquitto

    @Option(help: "Only the kinds whose row begins so, such as \"1.3 | ECDSA P-256 | resumed\".")
    var only = ""

    func validate() throws {
        if handshakes < 1 || rounds < 1 { throw ValidationError("At least one of each.") }
    }

    func run() async throws {
        let kinds = HandshakeCase.all.filter { handshake in
            // BoringSSL accepts Ed25519 only if it is enabled, and the scripted broker does not enable it.
            (peer == .mosquitto || handshake.algorithm != .ed25519)
                && handshake.columns.joined(separator: " | ").hasPrefix(only)
        }
        var brokers: [TestKeyAlgorithm: HandshakeBroker] = [:]
        for algorithm in Set(kinds.map(\.algorithm)) {
            brokers[algorithm] = try await HandshakeBroker(algorithm, peer)
        }
        let signals = EndingSignals { [brokers] in for broker in brokers.values { broker.kill() } }
        defer { withExtendedLifetime(signals) {} }
        var runs: [HandshakeCase: [HandshakeRun]] = [:]
        var generator = JitterGenerator(seed: 1)
        for _ in 0..<rounds {
            for handshake in kinds.shuffled(using: &generator) {
                guard let broker = brokers[handshake.algorithm] else { continue }
                runs[handshake, default: []].append(
                    try await HandshakeRun.measure(handshake, broker, count: handshakes))
            }
        }
        print("| TLS | keys | handshake | processor time | of the event loop | p50 | p99 ", terminator: "")
        print("| bytes sent | received | round trips |")
        print("| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
        for handshake in kinds {
            guard let broker = brokers[handshake.algorithm], let runs = runs[handshake] else { continue }
            let traffic = try await HandshakeRun.traffic(handshake, broker)
            print(row(handshake, runs, traffic))
            fflush(nil)
        }
        for broker in brokers.values { await broker.stop() }
    }

    private func row(_ handshake: HandshakeCase, _ runs: [HandshakeRun], _ traffic: [HandshakeRun.Traffic]) -> String {
        let latencies = runs.flatMap(\.latencies).sorted()
        let columns =
            handshake.columns + [
                peer == .mosquitto ? microseconds(median(runs.map(\.processorTime))) : "–",
                microseconds(median(runs.map(\.loopTime))),
                milliseconds(median(latencies)), milliseconds(quantile(0.99, latencies)),
                "\(median(traffic.map(\.sent)))", "\(median(traffic.map(\.received)))",
                // If messages of both sides cross on the way, the proxy counts one round trip too many.
                "\(traffic.map(\.roundTrips).min() ?? 0)",
            ]
        return "| \(columns.joined(separator: " | ")) |"
    }

    private func median<T: Comparable>(_ values: [T]) -> T { values.sorted()[values.count / 2] }

    private func microseconds(_ time: Duration) -> String { "\(Int((time / .microseconds(1)).rounded())) µs" }
}
#endif

// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Mosquitto
import MosquittoTesting

/// Measures the time for which a client has no connection while it rotates its credentials, over TLS on loopback.
struct RotationGaps: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "The gap of a graceful rotation, with and without TLS session resumption.")

    @Option(help: "How many rotations of each kind.")
    var rotations = 200

    func run() async throws {
        print("| TLS sessions | rotations | p50 | p99 | longest |")
        print("| --- | ---: | ---: | ---: | ---: |")
        for resumes in [false, true] {
            let gaps = try await measure(resumes: resumes).sorted()
            let columns = [quantile(0.5, gaps), quantile(0.99, gaps), quantile(1, gaps)].map(milliseconds)
            print("| \(resumes ? "resumed" : "new") | \(gaps.count) | \(columns.joined(separator: " | ")) |")
        }
    }

    private func measure(resumes: Bool) async throws -> [Duration] {
        let authority = try TestCertificateAuthority()
        let broker = try await ScriptedBroker.start(tls: try authority.serverIdentity())
        var tls = MQTTTLSConfiguration(trust: .pem(authority.certificatePEM))
        tls.resumesSessions = resumes
        var configuration = MQTTClientConfiguration(host: "localhost", port: broker.port, tls: tls)
        configuration.clientID = "soak"
        configuration.session = .persistent
        configuration.credentials = CountingCredentials()
        let gaps = try await withMQTTClient(configuration, logger: .criticalOnly) { client in
            let events = client.events()
            try await client.waitUntilConnected()
            var gaps: [Duration] = []
            for _ in 0..<rotations {
                // A message is in flight, and a session ticket has arrived.
                try await client.publish("x", to: "soak", qos: .atLeastOnce)
                try await client.rotateCredentials()
                for await event in events {
                    if case .connected(let info) = event.kind, info.tls?.resumed != resumes, !gaps.isEmpty {
                        throw ValidationError("a TLS session was \(resumes ? "not " : "")resumed")
                    }
                    guard case .credentialsRotated(let rotated) = event.kind else { continue }
                    gaps.append(rotated.gap)
                    break
                }
            }
            return gaps
        }
        await broker.stop()
        return gaps
    }
}

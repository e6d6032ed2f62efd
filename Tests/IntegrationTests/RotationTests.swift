// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Synchronization
import Testing
import Turns

@Suite("Rotation under load loses nothing", .turn(.brokers), .serialized)
struct RotationTests {
    /// 1,000 QoS 1 messages a second in each direction, a rotation every four seconds, five times.
    @Test(arguments: [MQTTVersion.v3_1_1, .v5_0])
    func `a token is rotated five times under traffic both ways`(version: MQTTVersion) async throws {
        let authority = try TestCertificateAuthority()
        let issuer = TestTokenIssuer()
        let broker = try await ScriptedBroker.start(
            tls: try authority.serverIdentity(), authentication: .token(issuer, kickOnExpiry: true))
        broker.recordPublishes = false
        var configuration = MQTTClientConfiguration(
            host: "localhost", port: broker.port, tls: .init(trust: .pem(authority.certificatePEM)))
        configuration.version = version
        try await rotate(configuration, tokens: issuer)
        #expect(broker.disconnects.count >= 5 * 2)
        await broker.stop()
    }

    @Test func `the same against a real mosquitto`() async throws {
        // By default, mosquitto drops messages for a session that lags behind by more than 1,000.
        let broker = try await Broker.start(extraConfiguration: "max_queued_messages 0")
        try await rotate(broker.configuration(), tokens: TestTokenIssuer())
    }

    /// Two clients with short-lived tokens send to each other until each has rotated five times.
    private func rotate(_ base: MQTTClientConfiguration, tokens issuer: TestTokenIssuer) async throws {
        var template = base
        template.session = .persistent
        // Nine tenths of a token's life are left for a rotation on a busy machine.
        template.rotation.refreshAt = 0.1
        template.rotation.jitter = 0
        template.credentials = .closure { _ in
            MQTTCredentials(username: "dev1", password: MQTTSecret(issuer.token(lifetime: .seconds(40))))
        }
        let configurations = [template, template].enumerated().map { index, configuration in
            var configuration = configuration
            configuration.clientID = "rotation-\(index)-\(UInt32.random(in: 0 ... .max))"
            return configuration
        }
        try await withMQTTClient(configurations[0], logger: quiet) { left in
            try await withMQTTClient(configurations[1], logger: quiet) { right in
                async let leftToRight = Self.traffic(from: left, to: right, topic: "ltr")
                async let rightToLeft = Self.traffic(from: right, to: left, topic: "rtl")
                for result in try await [leftToRight, rightToLeft] {
                    #expect(result.missing.isEmpty, "lost \(result.missing.prefix(10)) of \(result.sent)")
                    #expect(result.rotations >= 5)
                    #expect(result.disconnections == 0, "the token expired under the connection")
                    #expect(result.sent > 12_500)
                }
            }
        }
    }

    private struct Outcome: Sendable {
        var sent: Int
        var missing: [Int]
        var rotations: Int
        var disconnections: Int
    }

    private static func traffic(from sender: MQTTClient, to receiver: MQTTClient, topic: String) async throws -> Outcome
    {
        let seen = Tally()
        let rotations = Mutex(0)
        let disconnections = Mutex(0)
        let events = sender.events()
        let watch = Task {
            for await event in events {
                if case .credentialsRotated = event.kind { rotations.withLock { $0 += 1 } }
                if case .disconnected = event.kind { disconnections.withLock { $0 += 1 } }
            }
        }
        defer { watch.cancel() }
        let sent = try await receiver.subscribe(to: MQTTSubscription(topic)) { messages in
            let collect = Task {
                for await message in messages {
                    if let number = Int(message.payloadString) { seen.add(number) }
                }
            }
            defer { collect.cancel() }
            var sent = 0
            let start = ContinuousClock.now
            while rotations.withLock({ $0 }) < 5, ContinuousClock.now - start < .seconds(90) {
                // Ten messages every ten milliseconds, by the clock: a slow machine catches up.
                let due = Int((ContinuousClock.now - start) / .milliseconds(1))
                while sent < due {
                    try sender.enqueue("\(sent)", to: topic, qos: .atLeastOnce)
                    sent += 1
                }
                try await Task.sleep(for: .milliseconds(10))
            }
            // An awaited publish follows all enqueued ones.
            try await sender.publish("end", to: topic)
            let total = sent
            _ = await eventually(timeout: .seconds(60)) { seen.distinct >= total }
            return sent
        }
        return Outcome(
            sent: sent, missing: seen.missing(of: 0..<sent), rotations: rotations.withLock { $0 },
            disconnections: disconnections.withLock { $0 })
    }
}

// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Testing
import Turns

@Suite("Many clients of one process come back without a stampede", .turn(.scripted))
struct StampedeTests {
    @Test func `200 clients lose their broker, and all come back, spread over at least a second`() async throws {
        let count = 200
        let loops = [MosquittoEventLoop(name: "herd-1"), MosquittoEventLoop(name: "herd-2")]
        let port = try freePort()
        var broker = try await ScriptedBroker.start(port: port, tls: TestTLS.identity)
        let clients = (0..<count).map { number in
            var configuration = testConfiguration(port: port)
            // The policy of a user, with delays that the test can wait for.
            configuration.retry = .production
            configuration.retry.maximumDelay = .seconds(4)
            configuration.retry.seed = UInt64(number)
            // 200 handshakes at once take a debug build seconds.
            configuration.timeouts.tlsHandshake = .seconds(60)
            configuration.timeouts.connack = .seconds(60)
            configuration.timeouts.attempt = .seconds(60)
            configuration.clientID = "herd-\(number)"
            return MQTTClient(configuration, eventLoop: loops[number % loops.count], logger: quiet)
        }
        let logs = clients.map { EventLog($0) }
        for client in clients { try await client.start() }
        for client in clients { try await client.waitUntilConnected(timeout: .seconds(120)) }

        await broker.stop()
        broker = try await ScriptedBroker.start(port: port, tls: TestTLS.identity)
        #expect(await broker.waitUntil(timeout: .seconds(120)) { Set($0.connects.map(\.clientID)).count == count })
        for client in clients { try await client.waitUntilConnected(timeout: .seconds(120)) }

        let times = broker.acceptTimes
        #expect(times.count >= count)
        let spread = try #require(times.first).duration(to: try #require(times.last))
        #expect(spread >= .seconds(1), "\(times.count) arrivals within \(spread)")
        // A busy machine accepts many at the same time. By the clients' plans, which their seeds determine, any tenth of a
        // second has a small part.
        var plans: [Duration] = []
        for log in logs {
            #expect(await log.wait { !$0.disconnections.isEmpty })
            plans.append(try #require(await log.disconnections.first?.retryIn))
        }
        let busiest = plans.map { start in plans.count { $0 >= start && $0 - start < .milliseconds(100) } }.max() ?? 0
        #expect(busiest <= count / 4, "the busiest tenth of a second had \(busiest)")

        for client in clients { try? await client.shutdown() }
        await broker.stop()
    }
}

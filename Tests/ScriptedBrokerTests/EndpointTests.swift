// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Testing
import Turns

@Suite("Several endpoints are tried in turn, and the preferred one again", .turn(.scripted))
struct EndpointTests {
    private func configuration(_ ports: [Int]) -> MQTTClientConfiguration {
        var configuration = testConfiguration(port: ports[0])
        configuration.endpoints = ports.map { MQTTEndpoint(host: "localhost", port: $0) }
        return configuration
    }

    private func start(_ script: [ConnectionScript] = [.serve]) async throws -> ScriptedBroker {
        try await ScriptedBroker.start(tls: TestTLS.identity, script: script)
    }

    @Test func `a broker that is down is followed by the next one`() async throws {
        let down = try freePort()
        let broker = try await start()
        try await withRunningClient(configuration([down, broker.port])) { client, log in
            let info = try await client.waitUntilConnected(timeout: .seconds(30))
            #expect(info.endpoint.port == broker.port)
            #expect(info.attempt == 2)
            #expect(await log.wait { $0.failures.map(\.endpoint.port) == [down] })
            #expect(await log.wait { $0.failures.map(\.error.endpoint) == ["localhost:\(down)"] })
            #expect(await log.violation == nil)
        }
        await broker.stop()
    }

    @Test func `a broker that refuses for now is followed by the next one`() async throws {
        let first = try await start([.refuse(code: 0x88, close: true)])
        let second = try await start()
        try await withRunningClient(configuration([first.port, second.port])) { client, _ in
            let info = try await client.waitUntilConnected(timeout: .seconds(30))
            #expect(info.endpoint.port == second.port)
        }
        await first.stop()
        await second.stop()
    }

    @Test func `after a stable connection to the second broker the first one is preferred again`() async throws {
        let port = try freePort()
        let second = try await start()
        var configuration = configuration([port, second.port])
        configuration.retry.resetAfter = .zero
        try await withRunningClient(configuration) { _, log in
            #expect(await log.wait { $0.connections.last?.endpoint.port == second.port })
            let first = try await ScriptedBroker.start(port: port, tls: TestTLS.identity)
            second.dropAll()
            #expect(await log.wait { $0.connections.count == 2 })
            #expect(await log.wait { $0.connections.last?.endpoint.port == port })
            await first.stop()
        }
        await second.stop()
    }

    @Test func `a connection that did not last is followed by the next broker`() async throws {
        let first = try await start([.serveThenClose(after: .milliseconds(5))])
        let second = try await start()
        try await withRunningClient(configuration([first.port, second.port])) { _, log in
            #expect(await log.wait { $0.connections.count == 2 })
            #expect(await log.wait { $0.connections.map(\.endpoint.port) == [first.port, second.port] })
        }
        await first.stop()
        await second.stop()
    }

    @Test func `a broker that shuts down is left for the next one, however long it was up`() async throws {
        let first = try await start([.serveThenDisconnect(reasonCode: 0x8B, after: .milliseconds(50)), .serve])
        let second = try await start()
        var configuration = configuration([first.port, second.port])
        configuration.retry.resetAfter = .zero
        try await withRunningClient(configuration) { _, log in
            #expect(await log.wait { $0.connections.count == 2 })
            #expect(await log.wait { $0.connections.map(\.endpoint.port) == [first.port, second.port] })
            #expect(await log.wait { $0.disconnections.map(\.error.reasonCode) == [.serverShuttingDown] })
        }
        await first.stop()
        await second.stop()
    }

    @Test func `shuffled clients spread over all brokers`() async throws {
        var brokers: [ScriptedBroker] = []
        for _ in 0..<3 { brokers.append(try await start()) }
        for seed in 1...12 {
            var configuration = configuration(brokers.map(\.port))
            configuration.connection.endpointOrder = .shuffled
            configuration.retry.seed = UInt64(seed)
            try await withRunningClient(configuration) { client, _ in
                _ = try await client.waitUntilConnected(timeout: .seconds(30))
            }
        }
        #expect(brokers.allSatisfy { $0.connects.count > 0 }, "\(brokers.map(\.connects.count))")
        #expect(brokers.map(\.connects.count).reduce(0, +) == 12)
        for broker in brokers { await broker.stop() }
    }

    @Test func `a shuffled client tries each broker before it tries one again`() async throws {
        var brokers: [ScriptedBroker] = []
        for _ in 0..<3 { brokers.append(try await start([.refuse(code: 0x88, close: true)])) }
        var configuration = configuration(brokers.map(\.port))
        configuration.connection.endpointOrder = .shuffled
        try await withRunningClient(configuration) { _, log in
            #expect(await log.wait { $0.failures.count >= 6 })
            let ports = await log.failures.map(\.endpoint.port)
            #expect(Set(ports.prefix(3)) == Set(brokers.map(\.port)))
            #expect(Array(ports[3..<6]) == Array(ports[..<3]))
        }
        for broker in brokers { await broker.stop() }
    }
}

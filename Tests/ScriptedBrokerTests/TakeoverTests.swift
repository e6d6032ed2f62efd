// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Testing
import Turns

@Suite("Two clients with one identifier do not take the session from each other for ever", .turn(.scripted))
struct TakeoverTests {
    @Test func `the first of two clients with the same identifier stops`() async throws {
        let broker = try await ScriptedBroker.start(tls: TestTLS.identity)
        var configuration = testConfiguration(port: broker.port)
        configuration.clientID = "twin"
        try await withRunningClient(configuration) { first, firstLog in
            try await first.waitUntilConnected(timeout: .seconds(30))
            try await withRunningClient(configuration) { second, secondLog in
                #expect(await firstLog.wait { $0.stopped != nil })
                #expect(await firstLog.terminalError?.code == .sessionTakenOver)
                #expect(await firstLog.terminalError?.reasonCode == .sessionTakenOver)
                #expect(await firstLog.disconnections.map(\.decision) == [.stop])
                #expect(await firstLog.violation == nil)
                try await second.publish("mine now", to: "a")
                #expect(await secondLog.disconnections.isEmpty)
            }
        }
        #expect(broker.connects.count == 2)
        await broker.stop()
    }

    @Test(arguments: [MQTTVersion.v3_1_1, .v5_0], [true, false])
    func `five quick closes after CONNACK look like a takeover, which is told and slows the client down (D3)`(
        version: MQTTVersion, isTLS: Bool
    ) async throws {
        let close = ConnectionScript.serveThenClose(after: .milliseconds(5))
        let broker = try await ScriptedBroker.start(
            tls: isTLS ? TestTLS.identity : nil, script: Array(repeating: close, count: 6) + [.serve])
        var configuration = testConfiguration(port: broker.port, version: version)
        if !isTLS { configuration.tls = nil }
        try await withRunningClient(configuration) { _, log in
            #expect(await log.wait { $0.connections.count == 7 })
            let (standard, slow) = (MQTTRetryPolicy.Decision.retry(.standard), MQTTRetryPolicy.Decision.retry(.slow))
            #expect(
                await log.disconnections.map(\.decision) == Array(repeating: standard, count: 4) + [slow, slow])
            #expect(await log.disconnections.prefix(4).allSatisfy { $0.error.code == .closed })
            let told = await log.disconnections[4].error
            #expect(told.code == .sessionTakenOver && told.message.contains("client identifier"))
            #expect(await log.stopped == nil)
            #expect(await log.violation == nil)
        }
        await broker.stop()
    }

    @Test func `a failed attempt between them clears the suspicion`() async throws {
        let close = ConnectionScript.serveThenClose(after: .milliseconds(5))
        let broker = try await ScriptedBroker.start(
            tls: TestTLS.identity,
            script: [
                close, close, close, close, .closeAfterConnect, close, close, close, close,
                .refuse(
                    code: 3, close: true), .serve,
            ])
        try await withRunningClient(testConfiguration(port: broker.port, version: .v3_1_1)) { _, log in
            #expect(await log.wait { $0.connections.count == 9 })
            #expect(await log.disconnections.allSatisfy { $0.error.code == .closed })
        }
        await broker.stop()
    }

    @Test func `connections that lasted are not suspicious`() async throws {
        let close = ConnectionScript.serveThenClose(after: .milliseconds(5))
        let broker = try await ScriptedBroker.start(
            tls: TestTLS.identity, script: Array(repeating: close, count: 6) + [.serve])
        var configuration = testConfiguration(port: broker.port, version: .v3_1_1)
        configuration.retry.resetAfter = .zero
        try await withRunningClient(configuration) { _, log in
            #expect(await log.wait { $0.connections.count == 7 })
            #expect(await log.disconnections.allSatisfy { $0.error.code == .closed })
        }
        await broker.stop()
    }
}

@Suite("reconnectNow() ends a delay", .turn(.scripted))
struct ReconnectNowTests {
    @Test func `a client that would wait for an hour connects at once`() async throws {
        let port = try freePort()
        var configuration = testConfiguration(port: port)
        configuration.retry.minimumDelay = .seconds(3_600)
        configuration.retry.maximumDelay = .seconds(3_600)
        try await withRunningClient(configuration) { client, log in
            #expect(await log.wait { $0.failures.count == 1 })
            let broker = try await ScriptedBroker.start(port: port, tls: TestTLS.identity)
            await client.reconnectNow()
            try await client.waitUntilConnected(timeout: .seconds(30))
            #expect(await log.wait { !$0.connections.isEmpty })
            #expect(await log.wait { $0.connections.first?.attempt == 2 })
            #expect(await log.violation == nil)
            await broker.stop()
        }
    }

    @Test func `the delays start afresh`() async throws {
        var configuration = testConfiguration(port: try freePort())
        configuration.retry.baseDelay = .milliseconds(20)
        configuration.retry.maximumDelay = .seconds(3_600)
        configuration.retry.minimumDelay = .zero
        configuration.retry.budget = nil
        try await withRunningClient(configuration) { client, log in
            #expect(await log.wait { $0.failures.count >= 8 })
            for _ in 0..<5 {
                let count = await log.failures.count
                await client.reconnectNow()
                // Not above the first delay's bound. One attempt may fail by itself before the call has its effect.
                #expect(
                    await log.wait {
                        $0.failures.dropFirst(count).prefix(2).contains {
                            $0.retryIn.map { $0 <= .milliseconds(20) } == true
                        }
                    })
            }
        }
    }

    @Test func `a connection that is up, and an attempt that is under way, are left alone`() async throws {
        let broker = try await ScriptedBroker.start(tls: TestTLS.identity, script: [.silentAfterConnect])
        try await withRunningClient(testConfiguration(port: broker.port)) { client, log in
            #expect(await broker.waitUntil { $0.connects.count == 1 })
            await client.reconnectNow()
            broker.inject(BrokerBytes.acceptance(.v5_0))
            try await client.waitUntilConnected(timeout: .seconds(30))
            await client.reconnectNow()
            #expect(client.state.isConnected)
            #expect(await log.wait { $0.names.last == "connected" })
            #expect(await log.names == ["attemptStarted", "connected"])
            #expect(broker.acceptedConnections == 1)
        }
        await broker.stop()
    }
}

// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Synchronization
import Testing
import Turns

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

@Suite("The health of a running client", .turn(.scripted), .timeLimit(.minutes(2)))
struct HealthTests {
    @Test func `follows a broker that comes late, goes and returns`() async throws {
        let port = try freePort()
        let client = MQTTClient(testConfiguration(port: port, tls: nil), logger: quiet)
        #expect(client.health.obstacle(to: .accepting) == .notStarted)
        try await withRunning(client) { client, _ in
            #expect(await eventually { client.health.consecutiveFailures >= 2 })
            let alone = client.health
            #expect(!alone.hasConnected)
            #expect(alone.outage != nil)
            #expect(alone.lastFailure?.error.code == .connectionRefused)
            #expect(!client.isReady() && !client.isReady(.briefOutages) && client.isReady(.accepting))
            // A broker that is away is no reason to restart anything.
            #expect(await client.isResponsive(within: .seconds(30)))

            var broker = try await ScriptedBroker.start(port: port)
            #expect(await eventually { client.isReady() })
            #expect(client.health.consecutiveFailures == 0)
            #expect(client.health.outage == nil)

            await broker.stop()
            #expect(await eventually { client.health.consecutiveFailures >= 1 })
            #expect(!client.isReady())
            #expect(client.isReady(.briefOutages))
            #expect(await client.isResponsive(within: .seconds(30)))

            broker = try await ScriptedBroker.start(port: port)
            #expect(await eventually { client.isReady() })
            await broker.stop()
        }
        #expect(client.health.obstacle(to: .accepting) == .stopped)
    }

    @Test func `has the queue, with the age of its oldest message`() async throws {
        var configuration = testConfiguration(port: try freePort(), tls: nil)
        configuration.publishing.queue.maximumMessages = 10
        try await withRunningClient(configuration) { client, _ in
            #expect(client.health.queuedMessages == 0)
            #expect(client.health.oldestQueued == nil)
            for _ in 0..<9 { try client.enqueue("x", to: "a") }
            let health = client.health
            #expect(health.queuedMessages == 9)
            #expect(health.queuedBytes > 9)
            #expect(health.queueFill == 0.9)
            #expect(await eventually { client.health.obstacle(to: .accepting) == .queueFull(0.9) })
            #expect(await eventually { client.health.oldestQueued.map { $0 > .milliseconds(20) } == true })
        }
    }

    @Test func `has the expiry of the token in use`() async throws {
        let broker = try await ScriptedBroker.start()
        var configuration = testConfiguration(port: broker.port, tls: nil)
        let calls = Mutex(0)
        configuration.credentials = .closure { _ in
            let call = calls.withLock { calls in
                calls += 1
                return calls
            }
            return MQTTCredentials(
                username: "u", password: MQTTSecret("token \(call)"), expiresAt: .now + (call == 1 ? 100 : 1_000))
        }
        try await withRunningClient(configuration) { client, _ in
            try await client.waitUntilConnected(timeout: .seconds(30))
            let first = try #require(client.health.tokenExpiresIn)
            #expect(first > .zero && first <= .seconds(100))
            try await client.rotateCredentials()
            let second = try #require(client.health.tokenExpiresIn)
            #expect(second > .seconds(100) && second <= .seconds(1_000))
        }
        await broker.stop()
    }

    @Test func `says that the event loop does not respond while a call blocks it`() async throws {
        let loop = MosquittoEventLoop(name: "blocked")
        let client = MQTTClient(testConfiguration(port: try freePort(), tls: nil), eventLoop: loop, logger: quiet)
        #expect(await client.isResponsive(within: .seconds(30)))
        let isReleased = Atomic(false)
        let isBlocked = Atomic(false)
        let blocker = Task(executorPreference: loop.taskExecutor) {
            isBlocked.store(true, ordering: .relaxed)
            while !isReleased.load(ordering: .relaxed) {}
        }
        #expect(await eventually { isBlocked.load(ordering: .relaxed) })
        #expect(await !client.isResponsive(within: .milliseconds(100)))
        // A snapshot needs no loop.
        #expect(client.health.queuedMessages == 0)
        isReleased.store(true, ordering: .relaxed)
        await blocker.value
        #expect(await client.isResponsive(within: .seconds(30)))
    }
}

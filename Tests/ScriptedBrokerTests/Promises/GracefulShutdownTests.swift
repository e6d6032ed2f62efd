// SPDX-License-Identifier: Apache-2.0

import MosquittoTesting
import ServiceLifecycle
import Synchronization
import Testing
import Turns

@testable import Mosquitto

/// A user's service, made from a closure.
struct ClosureService: Service {
    let body: @Sendable () async throws -> Void

    init(_ body: @escaping @Sendable () async throws -> Void) { self.body = body }

    func run() async throws { try await body() }
}

/// Calls of a service that is shut down gracefully, and has no connection to wait for any more.
@Suite("A graceful shutdown", .turn(.scripted), .timeLimit(.minutes(1)))
struct GracefulShutdownTests {
    /// A call that waits, in a service of its own.
    enum Call: String, CaseIterable {
        case publish, publishInAFullQueue, waitUntilConnected, request, unsubscribe

        func make(_ client: MQTTClient) async throws(MQTTError) {
            switch self {
            case .publish: try await client.publish("x", to: "t")
            case .publishInAFullQueue:
                try? client.enqueue("first", to: "t")
                try await client.publish("x", to: "t")
            case .waitUntilConnected: try await client.waitUntilConnected()
            case .request: _ = try await client.request("x", to: "t", timeout: .seconds(3_600))
            case .unsubscribe: try await client.unsubscribe(from: ["t"])
            }
        }
    }

    private func configuration(port: Int) -> MQTTClientConfiguration {
        var configuration = testConfiguration(port: port, tls: nil)
        configuration.clientID = "service"
        configuration.session = .persistent
        configuration.publishing.queue.maximumMessages = 1
        return configuration
    }

    /// Runs a client and a service in a group, and shuts the group down when `condition` holds. Returns how long that took.
    private func run(
        _ client: MQTTClient, _ service: ClosureService, isClientFirst: Bool,
        when condition: @escaping @Sendable () async -> Bool
    ) async throws -> Duration {
        let services: [any Service] = isClientFirst ? [client, service] : [service, client]
        let group = ServiceGroup(configuration: .init(services: services, logger: quiet))
        let running = Task { try await group.run() }
        #expect(await eventually { await condition() })
        let start = ContinuousClock.now
        await group.triggerGracefulShutdown()
        try await running.value
        return ContinuousClock.now - start
    }

    @Test("ends the events of a service that reads them with a plain loop", arguments: [true, false], [true, false])
    func events(isConnected: Bool, isClientFirst: Bool) async throws {
        let broker = try await ScriptedBroker.start()
        let port = isConnected ? broker.port : try freePort()
        let client = MQTTClient(configuration(port: port), logger: quiet)
        let seen = Mutex<[MQTTConnectionEvent.Kind]>([])
        let service = ClosureService {
            for await event in client.events() { seen.withLock { $0.append(event.kind) } }
        }
        let time = try await run(client, service, isClientFirst: isClientFirst) {
            switch client.state {
            case .connected: isConnected && seen.withLock { !$0.isEmpty }
            case .waiting: !isConnected && seen.withLock { !$0.isEmpty }
            default: false
            }
        }
        #expect(time < .seconds(10))
        await broker.stop()
    }

    @Test(
        "ends each call that waits for the first connection, whatever the order (D2)", arguments: Call.allCases,
        [
            true, false,
        ])
    func firstConnection(call: Call, isClientFirst: Bool) async throws {
        let client = MQTTClient(configuration(port: try freePort()), logger: quiet)
        let outcome = Mutex<MQTTError?>(nil)
        let isWaiting = Atomic(false)
        let service = ClosureService {
            isWaiting.store(true, ordering: .sequentiallyConsistent)
            do throws(MQTTError) { try await call.make(client) } catch { outcome.withLock { $0 = error } }
        }
        let time = try await run(client, service, isClientFirst: isClientFirst) {
            if case .waiting = client.state { isWaiting.load(ordering: .sequentiallyConsistent) } else { false }
        }
        #expect(time < .seconds(10))
        let code = outcome.withLock { $0?.code }
        // If the client is shut down first, a call fails with that error; a request may fail with either error.
        #expect(code == (isClientFirst ? .cancelled : .stopped) || call == .request && code == .cancelled)
    }

    @Test("ends a handler that answers a request when the broker is gone (D2)", arguments: [true, false])
    func handler(isClientFirst: Bool) async throws {
        let broker = try await ScriptedBroker.start()
        let client = MQTTClient(configuration(port: broker.port), logger: quiet)
        let isAnswering = Atomic(false)
        let outcome = Mutex<MQTTError?>(nil)
        let service = ClosureService {
            try await client.subscribe(to: "requests") { messages in
                for await _ in messages {
                    await broker.stop()
                    isAnswering.store(true, ordering: .sequentiallyConsistent)
                    do throws(MQTTError) {
                        try await client.publish("answer", to: "answers")
                    } catch {
                        outcome.withLock { $0 = error }
                        break
                    }
                }
            }
        }
        let requests = Task {
            #expect(await broker.waitUntil { $0.count(of: .subscribe) == 1 })
            broker.publish(topic: "requests", payload: "?", qos: 1)
        }
        let time = try await run(client, service, isClientFirst: isClientFirst) {
            if case .waiting = client.state { isAnswering.load(ordering: .sequentiallyConsistent) } else { false }
        }
        await requests.value
        #expect(time < .seconds(10))
        #expect(outcome.withLock { $0?.code } == (isClientFirst ? .cancelled : .stopped))
    }

    @Test("lets a consumer end in its turn, in either order of the group (D2)", arguments: [true, false])
    func consumer(isClientFirst: Bool) async throws {
        let broker = try await ScriptedBroker.start()
        let client = MQTTClient(configuration(port: broker.port), logger: quiet)
        let count = Counter()
        let service = ClosureService {
            try await client.subscribe(to: "in") { messages in
                for await _ in messages.cancelOnGracefulShutdown() { await count.increment() }
            }
        }
        let traffic = Task {
            #expect(await broker.waitUntil { $0.count(of: .subscribe) == 1 })
            broker.publish(topic: "in", payload: "x", qos: 1)
        }
        let time = try await run(client, service, isClientFirst: isClientFirst) { await count.value == 1 }
        await traffic.value
        #expect(time < .seconds(10))
        await broker.stop()
    }

    @Test("lets a publish finish that has a connection (D2)")
    func connected() async throws {
        let broker = try await ScriptedBroker.start(script: [.disconnectOn(.publish, reasonCode: 0x8B), .serve])
        let client = MQTTClient(configuration(port: broker.port), logger: quiet)
        let outcome = Mutex<Result<MQTTPublishResult, MQTTError>?>(nil)
        let service = ClosureService {
            try await client.waitUntilConnected()
            try await gracefulShutdown()
            let result: Result<MQTTPublishResult, MQTTError>
            do throws(MQTTError) {
                result = .success(try await client.publish("late", to: "t", qos: .atMostOnce))
            } catch {
                result = .failure(error)
            }
            outcome.withLock { $0 = result }
        }
        _ = try await run(client, service, isClientFirst: true) { client.state.isConnected }
        #expect(throws: Never.self) { try outcome.withLock { try $0?.get() } }
        await broker.stop()
    }

    @Test("of a client that nothing runs: the wait says so (D9)")
    func idle() async throws {
        let client = MQTTClient(configuration(port: try freePort()), logger: quiet)
        let error = await #expect(throws: MQTTError.self) {
            try await client.waitUntilConnected(timeout: .milliseconds(10))
        }
        #expect(error?.code == .timeout)
        #expect(error?.message.contains("nothing runs the client") == true)
    }
}

/// Shutdowns outside of a group.
@Suite("A shutdown", .turn(.scripted), .timeLimit(.minutes(1)))
struct UnsentTests {
    @Test("sends what a body has enqueued before the first CONNACK (core 10)")
    func enqueued() async throws {
        let broker = try await ScriptedBroker.start(tls: TestTLS.identity)
        try await withMQTTClient(testConfiguration(port: broker.port), logger: quiet) {
            try $0.enqueue("x", to: "t")
        }
        #expect(broker.publishes.map(\.topic) == ["t"])
        #expect(await broker.waitUntil { $0.disconnects == [0] })
        await broker.stop()
    }

    @Test("sends what was enqueued before the run began")
    func enqueuedAtOnce() async throws {
        let broker = try await ScriptedBroker.start(tls: TestTLS.identity)
        for number in 0..<20 {
            let client = MQTTClient(testConfiguration(port: broker.port), logger: quiet)
            try client.enqueue("\(number)", to: "t")
            try await client.start()
            try await client.shutdown()
        }
        #expect(broker.publishes.map(\.text) == (0..<20).map(String.init))
        await broker.stop()
    }

    @Test("counts what it could not send, as an error and an event (core 10)")
    func unsent() async throws {
        let client = MQTTClient(testConfiguration(port: try freePort()), logger: quiet)
        let log = EventLog(client)
        try await client.start()
        for _ in 0..<3 { try client.enqueue("x", to: "t") }
        #expect(await log.wait { !$0.failures.isEmpty })
        let error = await #expect(throws: MQTTError.self) { try await client.shutdown() }
        #expect(error?.code == .unsent)
        #expect(error?.message.contains("3 messages") == true)
        #expect(await log.wait { $0.names.last == "stopped" })
        #expect(await log.names.suffix(2) == ["messagesUnsent", "stopped"])
        // The second call throws the same error.
        await #expect(throws: MQTTError.self) { try await client.shutdown() }
    }

    @Test("while connecting is no failed attempt (D10)")
    func connecting() async throws {
        let broker = try await ScriptedBroker.start(script: [.silent])
        let client = MQTTClient(testConfiguration(port: broker.port, tls: nil), logger: quiet)
        let log = EventLog(client)
        try await client.start()
        #expect(await log.wait { $0.names == ["attemptStarted"] })
        try await client.shutdown()
        #expect(await log.wait { $0.names == ["attemptStarted", "stopped"] })
        await broker.stop()
    }

    @Test("is not prolonged by acknowledgements of what the broker goes on sending (core 2)")
    func answeredMessages() async throws {
        let broker = try await ScriptedBroker.start(script: [.withholdFirstAcknowledgement])
        var configuration = testConfiguration(port: broker.port, tls: nil)
        configuration.timeouts.drain = .seconds(1)
        try await withMQTTClientStopping(configuration) { client in
            try await client.subscribe(to: MQTTSubscription("in", qos: .atLeastOnce)) { messages in
                let reading = Task { for await _ in messages {} }
                try client.enqueue("x", to: "never/acknowledged")
                #expect(await broker.waitUntil { $0.publishCount == 1 })
                let traffic = Task {
                    while !Task.isCancelled {
                        broker.publish(topic: "in", payload: "x", qos: 1)
                        try await Task.sleep(for: .milliseconds(50))
                    }
                }
                let start = ContinuousClock.now
                let error = await #expect(throws: MQTTError.self) { try await client.shutdown() }
                #expect(error?.code == .unsent)
                #expect(ContinuousClock.now - start < .seconds(15))
                traffic.cancel()
                await reading.value
            }
        }
        await broker.stop()
    }

    @Test("is a success for a message that the broker has taken over with PUBREC (core 9)")
    func takenOver() async throws {
        let broker = try await ScriptedBroker.start(script: [.disconnectOn(.pubrel, count: 9, reasonCode: 0)])
        var configuration = testConfiguration(port: broker.port, tls: nil)
        configuration.clientID = "kept"
        configuration.session = .persistent
        configuration.timeouts.drain = .milliseconds(300)
        try await withMQTTClientStopping(configuration) { client in
            let publish = Task { try await client.publish("x", to: "t", qos: .exactlyOnce) }
            #expect(await broker.waitUntil { $0.count(of: .pubrel) == 1 })
            try await client.shutdown()
            #expect(try await publish.value.reasonCode == .success)
        }
        await broker.stop()
    }

    /// Runs a body that stops the client itself.
    private func withMQTTClientStopping(
        _ configuration: MQTTClientConfiguration, _ body: (MQTTClient) async throws -> Void
    ) async throws {
        let client = MQTTClient(configuration, logger: quiet)
        try await client.start()
        try await body(client)
    }
}

// SPDX-License-Identifier: Apache-2.0

import MosquittoTesting
import Synchronization
import Testing
import Turns

@testable import Mosquitto

#if canImport(Darwin)
import Darwin
#elseif canImport(Musl)
import Musl
#else
import Glibc
#endif

/// Answers of a name server, one per look-up; the last one repeats.
final class ScriptedResolver: Sendable {
    private let state: Mutex<(answers: [Resolver.Answer], asked: Int)>

    init(_ answers: Resolver.Answer...) { state = Mutex((answers, 0)) }

    var asked: Int { state.withLock { $0.asked } }

    var resolve: @Sendable (String) async -> Resolver.Answer {
        { [self] _ in
            state.withLock { state in
                defer { state.asked += 1 }
                return state.answers[min(state.asked, state.answers.count - 1)]
            }
        }
    }

    static let noSuchName = MQTTError(.dns, "host \"broker.example\" did not resolve", phase: .resolve)
}

/// Every address of 127.0.0.0/8 is one of this machine: only the broker's has a listener.
@Suite("All addresses of a name are tried", .turn(.scripted))
struct AddressRaceTests {
    static let hasIPv6: Bool = {
        do throws(SystemCallError) {
            try StreamSocket(connectingTo: "::1", port: 1).close()
            return true
        } catch {
            return error.code == ECONNREFUSED
        }
    }()

    private func run<R>(
        _ configuration: MQTTClientConfiguration, _ resolver: ScriptedResolver,
        _ body: (MQTTClient, EventLog) async throws -> R
    ) async throws -> R {
        try await withRunning(
            MQTTClient(configuration, eventLoop: .shared, logger: quiet, resolve: resolver.resolve), body)
    }

    /// A client of "localhost", whatever that resolves to here.
    private func configuration(_ broker: ScriptedBroker, isTLS: Bool = true) -> MQTTClientConfiguration {
        var configuration = testConfiguration(port: broker.port)
        if !isTLS { configuration.tls = nil }
        return configuration
    }

    /// Sends and receives messages on the connection, large ones too.
    private func exchange(_ client: MQTTClient) async throws {
        let payload = (0..<300_000).map { UInt8(truncatingIfNeeded: $0) }
        let message = try await client.subscribe(to: "a") { messages in
            try await client.publish(payload, to: "a", qos: .exactlyOnce)
            return await messages.first { _ in true }
        }
        #expect(message?.payload == payload)
    }

    @Test(arguments: [true, false])
    func `an address that never answers is overtaken by the next one`(isTLS: Bool) async throws {
        let broker = try await ScriptedBroker.start(tls: isTLS ? TestTLS.identity : nil)
        let hole = try Blackhole(address: "127.0.0.2", port: broker.port)
        defer { withExtendedLifetime(hole) {} }
        let resolver = ScriptedResolver(.success(["127.0.0.2", "127.0.0.1"]))
        let start = ContinuousClock.now
        try await run(configuration(broker, isTLS: isTLS), resolver) { client, log in
            let info = try await client.waitUntilConnected(timeout: .seconds(30))
            let time = ContinuousClock.now - start
            #expect(info.address == "127.0.0.1")
            #expect(time >= ConnectRace.stagger)
            #expect(time < .seconds(5), "well within the 10 s that TCP may take")
            try await exchange(client)
            #expect(await log.failures.isEmpty)
            #expect(await log.violation == nil)
        }
        await broker.stop()
    }

    @Test(arguments: [true, false])
    func `an address that refuses is followed by the next one at once`(isTLS: Bool) async throws {
        let broker = try await ScriptedBroker.start(tls: isTLS ? TestTLS.identity : nil)
        let resolver = ScriptedResolver(.success(["127.0.0.2", "127.0.0.3", "127.0.0.1"]))
        var times: [Duration] = []
        // The machine may be busy during any single run, and a debug build's handshake takes long there.
        while times.count < 20, times.last.map({ $0 >= ConnectRace.stagger }) ?? true {
            let start = ContinuousClock.now
            try await run(configuration(broker, isTLS: isTLS), resolver) { client, log in
                let info = try await client.waitUntilConnected(timeout: .seconds(30))
                times.append(start.duration(to: try #require(broker.acceptTimes.last)))
                #expect(info.address == "127.0.0.1")
                try await exchange(client)
                #expect(await log.failures.isEmpty)
            }
        }
        #expect(times.contains { $0 < ConnectRace.stagger }, "\(times)")
        await broker.stop()
    }

    @Test(.enabled(if: hasIPv6, "this machine has no ::1"))
    func `the families take turns`() async throws {
        let version4 = try await ScriptedBroker.start(tls: TestTLS.identity)
        let version6 = try await ScriptedBroker.start(
            address: "::1", port: version4.port, tls: TestTLS.identity)
        let resolver = ScriptedResolver(.success(["127.0.0.2", "127.0.0.1", "::1"]))
        var isInTurn = false
        // When the machine is busy, the third address may be tried too before the second one has answered.
        for _ in 0..<20 where !isInTurn {
            let before = version4.acceptedConnections
            try await run(configuration(version4), resolver) { client, _ in
                let info = try await client.waitUntilConnected(timeout: .seconds(30))
                try await exchange(client)
                isInTurn = info.address == "::1" && version4.acceptedConnections == before
            }
        }
        #expect(isInTurn, "::1 comes before the second IPv4 address")
        await version4.stop()
        await version6.stop()
    }

    @Test(.enabled(if: hasIPv6, "this machine has no ::1"))
    func `an IPv6 address that nobody listens at falls back to IPv4`() async throws {
        let broker = try await ScriptedBroker.start(tls: TestTLS.identity)
        try await run(configuration(broker), ScriptedResolver(.success(["::1", "127.0.0.1"]))) { client, log in
            #expect(try await client.waitUntilConnected(timeout: .seconds(30)).address == "127.0.0.1")
            try await exchange(client)
            #expect(await log.failures.isEmpty)
        }
        await broker.stop()
    }

    @Test func `addresses that all refuse are one failed attempt`() async throws {
        var configuration = testConfiguration(port: try freePort())
        configuration.retry.limit = .attempts(1)
        let resolver = ScriptedResolver(.success(["127.0.0.2", "127.0.0.1", "127.0.0.3"]))
        try await run(configuration, resolver) { _, log in
            #expect(await log.wait { $0.stopped != nil })
            #expect(await log.wait { $0.failures.map(\.error.code) == [.connectionRefused] })
            #expect(await log.wait { $0.failures.map(\.error.phase) == [.connect] })
            #expect(await log.terminalError?.code == .connectionRefused)
            #expect(await log.violation == nil)
        }
    }

    @Test func `addresses of which none answers are one failed attempt, by the deadline`() async throws {
        let hole = try Blackhole()
        let other = try Blackhole(address: "127.0.0.2", port: hole.port)
        defer { withExtendedLifetime((hole, other)) {} }
        var configuration = testConfiguration(port: hole.port)
        configuration.timeouts.connect = .milliseconds(500)
        configuration.retry.limit = .attempts(1)
        try await run(configuration, ScriptedResolver(.success(["127.0.0.1", "127.0.0.2"]))) { _, log in
            #expect(await log.wait { $0.stopped != nil })
            #expect(await log.wait { $0.failures.map(\.error.code) == [.timeout] })
            #expect(await log.wait { $0.failures.map(\.error.phase) == [.connect] })
        }
    }

    @Test func `a name that moves is followed`() async throws {
        let broker = try await ScriptedBroker.start(tls: TestTLS.identity)
        let resolver = ScriptedResolver(.success(["127.0.0.2"]), .success(["127.0.0.3"]), .success(["127.0.0.1"]))
        try await run(configuration(broker), resolver) { client, log in
            let info = try await client.waitUntilConnected(timeout: .seconds(30))
            #expect(info.address == "127.0.0.1")
            #expect(info.attempt == 3)
            #expect(resolver.asked == 3)
            #expect(await log.wait { $0.failures.map(\.error.code) == [.connectionRefused, .connectionRefused] })
        }
        await broker.stop()
    }

    @Test func `a name that does not resolve is looked up again after each delay, and never hot`() async throws {
        let broker = try await ScriptedBroker.start(tls: TestTLS.identity)
        let missing = Resolver.Answer.failure(ScriptedResolver.noSuchName)
        let resolver = ScriptedResolver(
            missing, missing, missing, missing, missing, missing, missing, .success(["127.0.0.1"]))
        try await run(configuration(broker), resolver) { client, log in
            let info = try await client.waitUntilConnected(timeout: .seconds(30))
            #expect(info.attempt == 8)
            #expect(resolver.asked == 8)
            #expect(await log.wait { !$0.connections.isEmpty })
            #expect(await log.failures.allSatisfy { $0.error.code == .dns && $0.error.phase == .resolve })
            let standard = MQTTRetryPolicy.Decision.retry(.standard)
            #expect(
                await log.failures.map(\.decision)
                    == Array(repeating: standard, count: 5) + [.retry(.slow), .retry(.slow)])
            let pauses = await log.pauses
            #expect(pauses.count == 7)
            #expect(pauses.allSatisfy { $0.announced >= .milliseconds(10) })
            #expect(pauses.allSatisfy { $0.real >= $0.announced - .milliseconds(5) }, "\(pauses)")
            #expect(await log.violation == nil)
        }
        await broker.stop()
    }
}

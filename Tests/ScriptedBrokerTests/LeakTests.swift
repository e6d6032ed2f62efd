// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Testing
import Turns

#if os(Linux)
import FoundationEssentials
import Glibc

/// In a process of its own, where nothing else opens files, starts threads or occupies the threads of Swift's pool. One
/// test at a time, since each exit test blocks a thread of that pool in this process for as long as its child runs.
@Suite("Nothing is leaked, and nothing lingers", .turn(.leaks), .serialized)
struct LeakTests {
    @Test func `clients cancelled in every phase end within 100 ms and leave no thread, descriptor or memory behind`()
        async
    {
        await #expect(processExitsWith: .success) {
            for phase in LifePhase.allCases {
                let (configuration, broker, hole) = try await phase.prepare()
                // Pools fill, caches warm up; then nothing may grow.
                try await ProcessResources.cycle(20, phase, configuration, broker)
                let before = try await ProcessResources.settled()
                try await ProcessResources.cycle(200, phase, configuration, broker)
                try await ProcessResources.expectReturn(to: before, "\(phase)")
                await broker?.stop()
                withExtendedLifetime(hole) {}

                let (fresh, freshBroker, freshHole) = try await phase.prepare()
                // The median: the machine may be busy with other processes during any one sample.
                let times = try await phase.cancellationTimes(of: fresh, freshBroker)
                if times[2] >= .milliseconds(100) { fatalError("\(phase): \(times)") }
                await freshBroker?.stop()
                withExtendedLifetime(freshHole) {}
            }
            try await ProcessResources.dropLoops(2)
            let before = try await ProcessResources.settled()
            try await ProcessResources.dropLoops(20)
            try await ProcessResources.expectReturn(to: before, "loops")
        }
    }

    @Test func `a connected client costs one descriptor, with TLS and without`() async {
        await #expect(processExitsWith: .success) {
            for tls in [nil, MQTTTLSConfiguration(trust: .pem(TestTLS.authority.certificatePEM))] {
                let broker = try await ScriptedBroker.start(tls: tls == nil ? nil : TestTLS.identity)
                // The loop, its listener and the threads of the broker come with the first.
                let first = try await ProcessResources.connected(1, to: broker, tls: tls)
                let before = try await ProcessResources.settled()
                let clients = try await ProcessResources.connected(20, to: broker, tls: tls)
                let after = try await ProcessResources.settled()
                // The broker's end of each is in this process too.
                let count = after.descriptors - before.descriptors
                if count != 2 * 20 { fatalError("20 clients and their broker have \(count) descriptors") }
                for client in first + clients { try? await client.shutdown() }
                await broker.stop()
            }
        }
    }

    @Test func `50 races of addresses leave no descriptor behind`() async {
        await #expect(processExitsWith: .success) {
            for tls in [nil, MQTTTLSConfiguration(trust: .pem(TestTLS.authority.certificatePEM))] {
                let broker = try await ScriptedBroker.start(tls: tls == nil ? nil : TestTLS.identity)
                let hole = try Blackhole(address: "127.0.0.2", port: broker.port)
                try await ProcessResources.race(3, to: broker, tls: tls)
                let before = try await ProcessResources.settled()
                try await ProcessResources.race(25, to: broker, tls: tls)
                try await ProcessResources.expectReturn(to: before, "races")
                await broker.stop()
                withExtendedLifetime(hole) {}
            }
        }
    }
}

/// The resources of the process, as the kernel reports them.
struct ProcessResources: Sendable {
    var descriptors: Int
    /// Number of the library's threads, identified by name: the threads of Swift's own pool come and go.
    var threads: Int
    var residentKB: Int

    static var isSanitized: Bool { dlsym(nil, "__tsan_init") != nil }

    static func now() throws -> ProcessResources {
        let status = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
        func field(_ name: String) -> Int {
            let line = status.split(separator: "\n").first { $0.hasPrefix(name + ":") } ?? ""
            return Int(line.filter(\.isNumber)) ?? 0
        }
        let threads = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/task").count { thread in
            // A thread that has just ended has no name any more.
            let name = try? String(contentsOfFile: "/proc/self/task/\(thread)/comm", encoding: .utf8)
            return name?.hasPrefix("mosquitto") ?? false
        }
        return ProcessResources(
            descriptors: try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count,
            threads: threads,
            residentKB: field("VmRSS")
        )
    }

    /// Waits for two equal samples in a row, so that resources just released are gone.
    static func settled() async throws -> ProcessResources {
        var last = try now()
        _ = try await eventually(timeout: .seconds(30), pollEvery: .milliseconds(100)) {
            let next = try now()
            defer { last = next }
            return next.descriptors == last.descriptors && next.threads == last.threads
        }
        return last
    }

    /// Ends the process unless its resources return to the earlier level. The broker of the test is in the same
    /// process, and needs a moment to notice that a client has gone.
    static func expectReturn(to before: ProcessResources, _ what: String) async throws {
        var last = before
        let isBack = try await eventually(pollEvery: .milliseconds(50)) {
            last = try now()
            // ThreadSanitizer keeps a shadow of all memory that was ever touched.
            let memoryIsBounded = last.residentKB - before.residentKB < 4_096 || isSanitized
            return last.descriptors <= before.descriptors && last.threads <= before.threads && memoryIsBounded
        }
        if !isBack { fatalError("\(what): \(before) became \(last)") }
    }

    static func connected(_ count: Int, to broker: ScriptedBroker, tls: MQTTTLSConfiguration?) async throws
        -> [MQTTClient]
    {
        var clients: [MQTTClient] = []
        for _ in 0..<count {
            var configuration = testConfiguration(port: broker.port)
            configuration.tls = tls
            let client = MQTTClient(configuration, eventLoop: .shared, logger: quiet)
            try await client.start()
            try await client.waitUntilConnected(timeout: .seconds(30))
            clients.append(client)
        }
        return clients
    }

    /// Runs clients on separate event loops, to which no reference remains afterwards.
    static func dropLoops(_ count: Int) async throws {
        for _ in 0..<count {
            let client = MQTTClient(
                testConfiguration(port: try freePort()),
                eventLoop: MosquittoEventLoop(),
                logger: quiet
            )
            try await client.start()
            try? await client.shutdown()
        }
    }

    static func cycle(
        _ count: Int, _ phase: LifePhase, _ configuration: MQTTClientConfiguration, _ broker: ScriptedBroker?
    ) async throws {
        let earlier = phase == .connack ? broker?.connects.count : broker?.acceptedConnections
        for number in 1...count {
            let client = MQTTClient(configuration, logger: quiet)
            let run = Task { try await client.run() }
            let isReached = await eventually(pollEvery: .milliseconds(1)) {
                phase.isReached(client, broker, number: (earlier ?? 0) + number)
            }
            if !isReached { fatalError("\(phase) was not reached") }
            run.cancel()
            _ = await run.result
        }
    }
}
#endif

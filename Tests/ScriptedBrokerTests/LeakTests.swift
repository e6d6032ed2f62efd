import Mosquitto
import MosquittoTesting
import Testing

#if os(Linux)
import FoundationEssentials
import Glibc

/// In a process of their own, where nothing else opens files or starts threads.
@Suite("Nothing is leaked")
struct LeakTests {
    @Test func `200 clients that are cancelled in every phase leave no thread, descriptor or memory behind`() async {
        let result = await #expect(processExitsWith: .success, observing: [\.standardErrorContent]) {
            for phase in LifePhase.allCases {
                let (configuration, broker, hole) = try await phase.prepare()
                // Pools fill, caches warm up; then nothing may grow.
                try await ProcessResources.cycle(20, phase, configuration, broker)
                let before = try await ProcessResources.settled()
                try await ProcessResources.cycle(200, phase, configuration, broker)
                let after = try await ProcessResources.settled()
                await broker?.stop()
                withExtendedLifetime(hole) {}
                // ThreadSanitizer keeps a shadow of all memory that was ever touched.
                let memoryIsBounded = after.residentKB - before.residentKB < 4_096 || ProcessResources.isSanitized
                guard after.descriptors <= before.descriptors, after.threads <= before.threads, memoryIsBounded else {
                    fatalError("\(phase): \(before) became \(after)")
                }
            }
        }
        // Nothing where the expectation holds; else what grew.
        if let error = result?.standardErrorContent, !error.isEmpty { print(String(decoding: error, as: UTF8.self)) }
    }
}

/// What the process holds, as the kernel sees it.
struct ProcessResources: Sendable {
    var descriptors: Int
    /// Those of the library, by their names: the threads of Swift's own pool come and go.
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

    /// Two looks in a row that agree: what was just let go of is gone.
    static func settled() async throws -> ProcessResources {
        var last = try now()
        _ = try await eventually(timeout: .seconds(10), pollEvery: .milliseconds(100)) {
            let next = try now()
            defer { last = next }
            return next.descriptors == last.descriptors && next.threads == last.threads
        }
        return last
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

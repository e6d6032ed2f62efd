// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Synchronization

extension PromiseLane {
    /// Neither the client's keep-alive nor its deadline for a graceful end may close a link on which bytes move.
    static let largePublishes = PromiseLane(
        name: "large-publishes",
        statement:
            "A publish that takes twice the keep-alive is acknowledged on the first connection; QoS 0 that is queued at "
            + "shutdown() arrives, and no will."
    ) { run in
        try await run.withBroker { broker in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for (number, isTLS) in [true, false, true, false].enumerated() {
                    let version: MQTTVersion = number < 2 ? .v5_0 : .v3_1_1
                    group.addTask { try await LargePublisher(run, broker, number, isTLS: isTLS, version).run() }
                }
                try await group.waitForAll()
            }
        }
    }
}

/// One client that publishes over a slow link, and one that checks the received messages.
private final class LargePublisher: Sendable {
    private static let bytesPerSecond = 200_000
    private static let keepAlive = 5

    private let run: LaneRun
    private let broker: LaneBroker
    private let number: Int
    private let isTLS: Bool
    private let version: MQTTVersion
    /// The sizes of the received messages, and whether their bytes were correct.
    private let received = Mutex([(size: Int, isRight: Bool, topic: String)]())

    init(_ run: LaneRun, _ broker: LaneBroker, _ number: Int, isTLS: Bool, _ version: MQTTVersion) {
        (self.run, self.broker, self.number, self.isTLS, self.version) = (run, broker, number, isTLS, version)
    }

    private var filter: String { "large/\(number)/#" }

    private func payload(_ size: Int) -> [UInt8] { (0..<size).map { UInt8(truncatingIfNeeded: $0 / 7 + size) } }

    func run() async throws {
        // A link that is slow has no room for megabytes at its beginning.
        let proxy = try TCPProxy(
            to: broker.port(isTLS: isTLS), plan: .init(bytesPerSecond: Self.bytesPerSecond), kernelBuffer: 16_384)
        defer { proxy.stop() }
        let isSubscribed = Flag()
        try await run.withClient(broker.configuration("sink-\(number)", port: broker.plainPort)) { sink, _ in
            let reading = Task { [self] in
                try await sink.subscribe(to: MQTTSubscription(filter, qos: .atLeastOnce)) { messages in
                    isSubscribed.raise()
                    for await message in messages {
                        let entry = (
                            message.payload.count, message.payload == payload(message.payload.count), message.topic
                        )
                        received.withLock { $0.append(entry) }
                    }
                }
            }
            defer { reading.cancel() }
            try await run.require(within: .seconds(30), "\(filter) is not subscribed") { isSubscribed.isRaised }
            var numbers = JitterGenerator(seed: run.seed &+ UInt64(number))
            repeat { try await publish(through: proxy, &numbers) } while run.hasTime
        }
    }

    private func publish(through proxy: TCPProxy, _ numbers: inout JitterGenerator) async throws {
        received.withLock { $0 = [] }
        let size = Int.random(in: 20...24, using: &numbers) * Self.bytesPerSecond * Self.keepAlive / 10
        let rest = Int.random(in: 3...10, using: &numbers)
        var configuration = broker.configuration(
            "large-\(number)", port: proxy.port, isTLS: isTLS, version: version)
        configuration.keepAlive = .seconds(Self.keepAlive)
        configuration.will = MQTTWill(topic: MQTTTopic("large/\(number)/will"), payload: "gone")
        let what = "a publish of \(size) bytes at \(Self.bytesPerSecond) a second (TLS: \(isTLS), \(version))"
        try await run.withClient(configuration) { client, watch in
            _ = try await client.waitUntilConnected(timeout: .seconds(30))
            let publishing = Task { try await client.publish(payload(size), to: "large/\(number)/one") }
            let isDone = Flag()
            let waiting = Task {
                _ = try await publishing.value
                isDone.raise()
            }
            try await run.require(within: .seconds(60), "\(what) is acknowledged") {
                isDone.isRaised || watch.connections > 1
            }
            try run.require(watch.connections <= 1, "\(what) was sent on \(watch.connections) connections")
            _ = try await waiting.value
            for index in 0..<rest {
                try client.enqueue(payload(100_000 + index), to: "large/\(number)/rest", qos: .atMostOnce)
            }
            // The end of this scope shuts the client down.
        }
        try await run.require(
            within: .seconds(10) + run.slack, "\(what): \(rest) more of QoS 0 arrive after shutdown()"
        ) {
            received.withLock { $0.count { $0.topic.hasSuffix("rest") } } == rest
        }
        let all = received.withLock { $0 }
        try run.require(all.allSatisfy(\.isRight), "\(what): the bytes arrived as they were")
        try run.require(!all.contains { $0.topic.hasSuffix("will") }, "\(what): a graceful end publishes no will")
        try run.require(all.count { $0.size == size } == 1, "\(what) arrived once")
        run.count("large publishes")
        run.count("publishes of QoS 0 at shutdown", rest)
        run.count("megabytes", (size + rest * 100_000) / 1_000_000)
    }
}

// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Synchronization
import Testing

/// Two clients that send to each other, 50 messages a second for each quality of service.
struct BrokerTraffic: Sendable {
    /// The fate of the messages of one sender with one quality of service.
    struct Flow: Sendable {
        var qos: MQTTQoS
        var sent: Int
        /// Numbers of the messages that were published, which means acknowledged, and not received.
        var lost: [Int]
        /// Numbers of the messages that were received more than once.
        var duplicates: [Int]
        /// The longest time from a publish to its acknowledgement.
        var slowest: Duration
    }

    var flows: [Flow] = []
    /// The time without a connection in each rotation.
    var gaps: [Duration] = []
    /// The errors of connections that the client did not end itself.
    var disconnections: [MQTTError] = []

    /// Sends in both directions until `isEnough` holds for both clients, and waits until all messages have arrived.
    static func run(
        _ configurations: (MQTTClientConfiguration, MQTTClientConfiguration), qualities: [MQTTQoS],
        until isEnough: @escaping @Sendable (ClientLog) -> Bool
    ) async throws -> BrokerTraffic {
        try await withMQTTClient(configurations.0, logger: quiet) { left in
            try await withMQTTClient(configurations.1, logger: quiet) { right in
                let logs = [ClientLog(left), ClientLog(right)]
                var traffic = BrokerTraffic()
                traffic.flows = try await withThrowingTaskGroup(of: Flow.self) { group in
                    for (name, sender, receiver) in [("right", left, right), ("left", right, left)] {
                        for qos in qualities {
                            group.addTask {
                                let topic = "traffic/\(name)/\(qos.rawValue)"
                                return try await flow(from: sender, to: receiver, topic: topic, qos: qos) {
                                    logs.allSatisfy(isEnough)
                                }
                            }
                        }
                    }
                    return try await group.reduce(into: []) { $0.append($1) }
                }
                traffic.gaps = logs.flatMap(\.gaps)
                traffic.disconnections = logs.flatMap(\.disconnections)
                return traffic
            }
        }
    }

    private static func flow(
        from sender: MQTTClient, to receiver: MQTTClient, topic: String, qos: MQTTQoS,
        isEnough: @escaping @Sendable () -> Bool
    ) async throws -> Flow {
        let received = Tally()
        let slowest = Longest()
        return try await receiver.subscribe(to: MQTTSubscription(topic + "/#", qos: qos)) { messages in
            let collect = Task {
                for await message in messages {
                    if let number = Int(message.payloadString) { received.add(number) }
                }
            }
            defer { collect.cancel() }
            let sent = try await withThrowingTaskGroup(of: Void.self) { group in
                var sent = 0
                let start = ContinuousClock.now
                while !isEnough(), ContinuousClock.now - start < .seconds(60) {
                    // By the clock: a slow machine catches up.
                    let due = Int((ContinuousClock.now - start) / .milliseconds(20)) + 1
                    while sent < due {
                        let number = sent
                        group.addTask {
                            let start = ContinuousClock.now
                            // Uses a new topic every second: only then does RabbitMQ check the token again.
                            let topic = MQTTTopic("\(topic)/\(number / 50)")
                            try await sender.publish("\(number)", to: topic, qos: qos)
                            slowest.add(ContinuousClock.now - start)
                        }
                        sent += 1
                    }
                    try await Task.sleep(for: .milliseconds(20))
                }
                try await group.waitForAll()
                return sent
            }
            _ = await eventually(timeout: .seconds(60)) { received.distinct >= sent }
            return Flow(
                qos: qos, sent: sent, lost: received.missing(of: 0..<sent), duplicates: received.duplicates,
                slowest: slowest.value)
        }
    }
}

extension BrokerTraffic {
    /// Checks that every message has arrived, and QoS 2 messages exactly once.
    func expectNothingLost() {
        for flow in flows {
            #expect(flow.sent > 0)
            #expect(flow.lost.isEmpty, "lost \(flow.lost.prefix(10)) of \(flow.sent) at \(flow.qos)")
            if flow.qos == .exactlyOnce { #expect(flow.duplicates.isEmpty, "twice: \(flow.duplicates.prefix(10))") }
        }
    }

    /// A line for the table of `docs/brokers.md`.
    func summary(_ title: String) -> String {
        let flows = flows.map { flow in
            "QoS \(flow.qos.rawValue): sent \(flow.sent), lost \(flow.lost.count), "
                + "twice \(flow.duplicates.count), slowest \(flow.slowest.inMilliseconds)"
        }
        let gaps = gaps.sorted().map(\.inMilliseconds).joined(separator: ", ")
        let ends = disconnections.map(\.message).joined(separator: ", ")
        return "\(title): gaps [\(gaps)]; disconnections [\(ends)]; \(flows.joined(separator: "; "))"
    }
}

/// The connection events of one client since the start of the log.
final class ClientLog: Sendable {
    private struct State {
        var gaps: [Duration] = []
        var disconnections: [MQTTError] = []
        var connections = 0
    }

    private let state: Mutex<State>
    let start = ContinuousClock.now

    init(_ client: MQTTClient) {
        let events = client.events()
        state = Mutex(State())
        // Ends when the client ends.
        Task {
            for await event in events { record(event) }
        }
    }

    var gaps: [Duration] { state.withLock { $0.gaps } }
    var disconnections: [MQTTError] { state.withLock { $0.disconnections } }
    var connections: Int { state.withLock { $0.connections } }
    var age: Duration { ContinuousClock.now - start }

    private func record(_ event: MQTTConnectionEvent) {
        state.withLock { state in
            switch event.kind {
            case .credentialsRotated(let rotated): state.gaps.append(rotated.gap)
            case .disconnected(let disconnection): state.disconnections.append(disconnection.error)
            case .connected: state.connections += 1
            default: break
            }
        }
    }
}

/// Counts from zero.
final class Counter: Sendable {
    private let value = Atomic(0)

    func next() -> Int { value.wrappingAdd(1, ordering: .relaxed).oldValue }
}

/// The longest recorded duration.
private final class Longest: Sendable {
    private let duration = Mutex(Duration.zero)

    func add(_ other: Duration) { duration.withLock { $0 = max($0, other) } }
    var value: Duration { duration.withLock { $0 } }
}

extension Duration {
    fileprivate var inMilliseconds: String { "\(Int(self / .milliseconds(1))) ms" }
}

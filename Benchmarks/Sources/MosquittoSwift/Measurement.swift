// SPDX-License-Identifier: Apache-2.0

import Mosquitto

/// Runs each workload with a connected client, and reports its cost.
struct Measurement: Sendable {
    let messages: Int
    let size: Int
    let window: Int
    let tasks: Int

    private static let topic: MQTTTopic = "bench"
    private var payload: [UInt8] { [UInt8](repeating: UInt8(ascii: "x"), count: size) }

    func run(_ work: Work, _ client: MQTTClient) async throws -> Report {
        switch work {
        case .publishQoS0: try await enqueue(client, .atMostOnce)
        case .publishQoS0Awaited: try await publish(client, .atMostOnce, tasks: tasks)
        case .publishQoS1: try await enqueue(client, .atLeastOnce)
        case .publishQoS1Awaited: try await publish(client, .atLeastOnce, tasks: window)
        case .receiveQoS0: try await receive(client, .atMostOnce)
        case .receiveQoS1: try await receive(client, .atLeastOnce)
        case .latencyQoS1: try await latency(client)
        case .latencyQoS1OnLoop:
            try await withTaskExecutorPreference(MosquittoEventLoop.shared.taskExecutor) { try await latency(client) }
        }
    }

    /// The last message has QoS 1: at its PUBACK the sink has received all earlier ones.
    private func enqueue(_ client: MQTTClient, _ qos: MQTTQoS) async throws -> Report {
        let payload = payload
        let begin = Reading.now
        for _ in 1..<messages {
            do throws(MQTTError) {
                try client.enqueue(payload, to: Self.topic, qos: qos)
            } catch {
                // The queue is bounded. This call waits for room.
                guard error.code == .queueFull else { throw error }
                try await client.publish(payload, to: Self.topic, qos: qos)
            }
        }
        try await client.publish(payload, to: Self.topic, qos: .atLeastOnce)
        return Report(since: begin)
    }

    private func publish(_ client: MQTTClient, _ qos: MQTTQoS, tasks: Int) async throws -> Report {
        let payload = payload
        let (share, rest) = (messages - 1).quotientAndRemainder(dividingBy: tasks)
        let begin = Reading.now
        try await withThrowingTaskGroup { group in
            for task in 0..<tasks {
                group.addTask {
                    for _ in 0..<(share + (task < rest ? 1 : 0)) {
                        try await client.publish(payload, to: Self.topic, qos: qos)
                    }
                }
            }
            try await group.waitForAll()
        }
        try await client.publish(payload, to: Self.topic, qos: .atLeastOnce)
        return Report(since: begin)
    }

    /// After the second filter the sink sends, on the topic of the first.
    private func receive(_ client: MQTTClient, _ qos: MQTTQoS) async throws -> Report {
        let order = MQTTTopicFilter("send/\(qos.rawValue)/\(messages)/\(size)")
        return try await client.subscribe(
            to: MQTTSubscription("bench", qos: qos), MQTTSubscription(order, qos: qos)
        ) { received in
            var count = 0
            var begin = Reading.now
            for await message in received {
                if count == 0 { begin = .now }
                guard message.payload.count == size else { throw Failure("a message has the wrong size") }
                count += 1
                if count == messages { return Report(since: begin) }
            }
            throw Failure("the messages ended after \(count)")
        }
    }

    private func latency(_ client: MQTTClient) async throws -> Report {
        let payload = payload
        var latencies: [Duration] = []
        latencies.reserveCapacity(messages)
        let begin = Reading.now
        for _ in 0..<messages {
            let start = ContinuousClock.now
            try await client.publish(payload, to: Self.topic, qos: .atLeastOnce)
            latencies.append(.now - start)
        }
        return Report(since: begin, latencies: latencies)
    }
}

struct Failure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

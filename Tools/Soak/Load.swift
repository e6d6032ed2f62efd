// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import Synchronization

/// Publishes messages one after the other, each awaiting the queue and its acknowledgement, until ``end()``.
final class Load: Sendable {
    private let client: MQTTClient
    private let padding: String
    private let state = Mutex(State())
    private let isEnded = Atomic(false)

    private struct State {
        var last = 0
        var acknowledged: [Int] = []
        var failures = 0
        var sentQoS0 = 0
    }

    init(_ client: MQTTClient, size: Int) {
        self.client = client
        padding = String(repeating: ".", count: size)
    }

    var acknowledged: [Int] { state.withLock { $0.acknowledged } }
    var failures: Int { state.withLock { $0.failures } }
    var sentQoS0: Int { state.withLock { $0.sentQoS0 } }

    func end() { isEnded.store(true, ordering: .relaxed) }

    private var mayGoOn: Bool { !isEnded.load(ordering: .relaxed) }

    func publishAtLeastOnce() async {
        while mayGoOn {
            let number = state.withLock { state in
                state.last += 1
                return state.last
            }
            let payload = "\(number) " + padding.dropFirst("\(number) ".count)
            do {
                try await client.publish(payload, to: "load/1", qos: .atLeastOnce)
                state.withLock { $0.acknowledged.append(number) }
            } catch {
                state.withLock { $0.failures += 1 }
            }
            // A rate that the broker can sustain.
            try? await Task.sleep(for: .milliseconds(400))
        }
    }

    func publishAtMostOnce() async {
        while mayGoOn {
            do {
                try await client.publish(padding, to: "load/0", qos: .atMostOnce)
                state.withLock { $0.sentQoS0 += 1 }
            } catch {
                state.withLock { $0.failures += 1 }
            }
            try? await Task.sleep(for: .milliseconds(20))
        }
    }
}

/// The messages received from a ``Load``.
final class Received: Sendable {
    private let state = Mutex((counts: [Int: Int](), qos0: 0))

    func take(_ message: MQTTMessage) {
        guard message.topic == "load/1" else { return state.withLock { $0.qos0 += 1 } }
        let number = message.payloadString.split(separator: " ").first.flatMap { Int($0) } ?? 0
        state.withLock { $0.counts[number, default: 0] += 1 }
    }

    func missing(of numbers: [Int]) -> Int { state.withLock { state in numbers.count { state.counts[$0] == nil } } }

    var duplicates: Int { state.withLock { $0.counts.values.count { $0 > 1 } } }

    var qos0: Int { state.withLock { $0.qos0 } }
}

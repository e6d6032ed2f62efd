// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Testing

/// The messages that a client received of its own.
struct Received: Sendable {
    let atLeastOnce = Tally()
    let exactlyOnce = Tally()
    /// The number of published messages of each quality of service.
    static let count = 2_000
}

/// Lets 20 tasks publish, with QoS 1 and 2, to a consumer of the same client, and interrupts the connection twice.
/// Expects all publishes to complete, the subscription to work at the end, and no QoS 2 message twice.
func publishThroughInterruptions(
    _ configuration: MQTTClientConfiguration, interrupt: @escaping @Sendable () async throws -> Void
) async throws -> Received {
    let received = Received()
    try await withMQTTClient(configuration, logger: quiet) { client in
        try await client.subscribe(to: MQTTSubscription("load/#", qos: .exactlyOnce)) { messages in
            let collect = Task {
                for await message in messages {
                    if message.topic == "load/end" { return true }
                    guard let number = Int(message.payloadString) else { continue }
                    (message.topic == "load/1" ? received.atLeastOnce : received.exactlyOnce).add(number)
                }
                return false
            }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for worker in 0..<20 {
                    group.addTask {
                        for number in 0..<Received.count / 20 {
                            let id = worker * Received.count / 20 + number
                            try await client.publish("\(id)", to: "load/1", qos: .atLeastOnce)
                            try await client.publish("\(id)", to: "load/2", qos: .exactlyOnce)
                        }
                    }
                }
                for _ in 0..<2 {
                    let next = min(received.exactlyOnce.distinct + 100, Received.count - 1)
                    #expect(await eventually(pollEvery: .milliseconds(1)) { received.exactlyOnce.distinct > next })
                    try await interrupt()
                }
                try await group.waitForAll()
            }
            try await client.publish("end", to: "load/end", qos: .exactlyOnce)
            #expect(await collect.value, "the subscription does not work after the interruptions")
        }
    }
    #expect(received.exactlyOnce.duplicates.isEmpty, "twice: \(received.exactlyOnce.duplicates)")
    return received
}

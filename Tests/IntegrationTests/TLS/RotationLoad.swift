// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Testing

/// Messages from one client to another, 1,000 a second with QoS 1 and 100 with QoS 2.
final class RotationLoad: Sendable {
    private let atLeastOnce = Tally()
    private let exactlyOnce = Tally()

    /// Sends while `body` runs, and waits until all messages have arrived. A lost message, or a QoS 2 message that
    /// arrives twice, is a failure.
    static func run(
        from sender: MQTTClient, to receiver: MQTTClient,
        _ body: @escaping @Sendable (RotationLoad) async throws -> Void
    ) async throws {
        let load = RotationLoad()
        try await receiver.subscribe(to: MQTTSubscription("load/#", qos: .exactlyOnce)) { messages in
            let collect = Task {
                for await message in messages {
                    guard let number = Int(message.payloadString) else { continue }
                    (message.topic == "load/1" ? load.atLeastOnce : load.exactlyOnce).add(number)
                }
            }
            defer { collect.cancel() }
            let sending = Task { try await load.send(with: sender) }
            do { try await body(load) } catch {
                sending.cancel()
                throw error
            }
            sending.cancel()
            let sent = try await sending.value
            _ = await eventually(timeout: .seconds(60)) {
                load.atLeastOnce.distinct >= sent * 10 && load.exactlyOnce.distinct >= sent
            }
            #expect(sent > 0)
            let lost = (load.atLeastOnce.missing(of: 0..<sent * 10), load.exactlyOnce.missing(of: 0..<sent))
            #expect(lost.0.isEmpty, "QoS 1: lost \(lost.0.prefix(10)), in all \(lost.0.count), of \(sent * 10)")
            #expect(lost.1.isEmpty, "QoS 2: lost \(lost.1.prefix(10)), in all \(lost.1.count), of \(sent)")
            #expect(load.exactlyOnce.duplicates.isEmpty, "QoS 2: twice \(load.exactlyOnce.duplicates.prefix(10))")
        }
    }

    /// Waits until this number of further messages has arrived.
    func advances(by count: Int) async -> Bool {
        let before = atLeastOnce.distinct
        return await eventually(timeout: .seconds(60)) { atLeastOnce.distinct >= before + count }
    }

    /// Sends until the task is cancelled. Returns the number of QoS 2 messages; ten times as many are of QoS 1.
    private func send(with sender: MQTTClient) async throws -> Int {
        var sent = 0
        let start = ContinuousClock.now
        while !Task.isCancelled {
            // By the clock: a slow machine catches up.
            let due = Int((ContinuousClock.now - start) / .milliseconds(10))
            while sent < due {
                for number in sent * 10..<sent * 10 + 10 {
                    try sender.enqueue("\(number)", to: "load/1", qos: .atLeastOnce)
                }
                try sender.enqueue("\(sent)", to: "load/2", qos: .exactlyOnce)
                sent += 1
            }
            try? await Task.sleep(for: .milliseconds(10))
        }
        return sent
    }
}

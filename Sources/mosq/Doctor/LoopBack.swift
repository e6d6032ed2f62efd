// SPDX-License-Identifier: Apache-2.0

import Mosquitto

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Subscribes to a unique topic, publishes to it and waits for the message.
struct LoopBack: Sendable {
    let topic: String
    let qos: MQTTQoS
    let limit: Duration

    private enum End: Sendable {
        case echoed(Duration)
        case failed(MQTTError)
    }

    /// - Parameter loss: waits for the end of the client, and returns the cause.
    func finding(_ client: MQTTClient, loss: @escaping @Sendable () async -> MQTTError?) async -> Finding<LoopBackFacts>
    {
        var facts = LoopBackFacts(topic: topic, qos: Int(qos.rawValue))
        switch await within(limit, { [self] in await exchange(client) }) {
        case nil:
            return Finding(facts, .noEcho(topic: topic, limit: limit), isFailure: false)
        case .echoed(let time)?:
            facts.seconds = time.inSeconds
            return Finding(facts)
        case .failed(let error)?:
            // If the client has stopped, its error is the cause.
            let cause =
                error.code == .operationRefused ? error : await within(.seconds(1), loss).flatMap { $0 } ?? error
            return Finding(facts, .loopBack(cause, topic: topic), isFailure: false)
        }
    }

    private func exchange(_ client: MQTTClient) async -> End {
        let payload = "mosq doctor " + String(UInt64.random(in: .min ... .max), radix: 16)
        let subscription = MQTTSubscription(topic, qos: qos)
        do {
            return try await client.subscribe(to: subscription) { messages in
                let start = ContinuousClock.now
                _ = try await client.publish(payload, to: topic, qos: qos)
                for await message in messages where message.payloadString == payload {
                    return .echoed(ContinuousClock.now - start)
                }
                return .failed(MQTTError(.stopped, "the connection was lost", phase: .connected))
            }
        } catch {
            return .failed(error as? MQTTError ?? MQTTError(.library, "\(error)", phase: .connected))
        }
    }
}

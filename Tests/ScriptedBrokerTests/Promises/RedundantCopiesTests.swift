// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Testing
import Turns

@Suite(
    "Of overlapping filters in a persistent session, the copies that nobody takes", .turn(.scripted),
    .timeLimit(.minutes(1)))
struct RedundantCopiesTests {
    @Test(arguments: [MQTTAcknowledgement.onReceipt, .afterHandling], [MQTTQoS.atLeastOnce, .exactlyOnce])
    func `are acknowledged, not held (delivery 1)`(acknowledgement: MQTTAcknowledgement, qos: MQTTQoS) async throws {
        let broker = try await ScriptedBroker.start()
        var configuration = testConfiguration(port: broker.port, tls: nil)
        configuration.session = .persistent
        configuration.acknowledgement = acknowledgement
        configuration.receiving.usesSubscriptionIdentifiers = true
        try await withRunningClient(configuration) { client, _ in
            try await client.subscribe(to: MQTTSubscription("a/#", qos: qos), MQTTSubscription("a/b", qos: qos)) {
                messages in
                for number in 0..<30 { broker.publish(topic: "a/b", payload: "\(number)", qos: qos.rawValue) }
                var texts: [String] = []
                for await message in messages {
                    texts.append(message.payloadString)
                    if texts.count == 30 { break }
                }
                #expect(texts == (0..<30).map(String.init))
            }
            let answer = qos == .exactlyOnce ? ReceivedPacketType.pubrec : .puback
            #expect(await broker.waitUntil(timeout: .seconds(10)) { $0.count(of: answer) == 60 })
        }
        await broker.stop()
    }
}

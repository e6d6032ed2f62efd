// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Testing
import Turns

@Suite(
    "Each message comes once for each delivery that the broker meant (core 6)", .turn(.scripted),
    .timeLimit(.minutes(1)))
struct OverlappingCopiesTests {
    /// Returns the messages that a consumer of these subscriptions receives before the message "end" on the topic.
    private func texts(
        _ client: MQTTClient, _ subscriptions: [MQTTSubscription], until topic: String, _ body: () async throws -> Void
    ) async throws -> [String] {
        try await client.subscribe(to: subscriptions) { messages in
            try await body()
            var texts: [String] = []
            for await message in messages {
                if message.payloadString == "end", message.topic == topic { break }
                texts.append(message.payloadString)
            }
            return texts
        }
    }

    @Test func `a shared filter beside one that is not`() async throws {
        let broker = try await ScriptedBroker.start()
        let configuration = testConfiguration(port: broker.port, tls: nil)
        var other = configuration
        other.clientID = "other member"
        try await withRunningClient(configuration) { client, _ in
            try await withRunningClient(other) { member, _ in
                try await member.subscribe(to: "$share/w/jobs/#") { shared in
                    let both: [MQTTSubscription] = ["$share/w/jobs/#", "jobs/urgent", "end"]
                    let seen = try await texts(client, both, until: "end") {
                        for number in 0..<10 { broker.publish(topic: "jobs/urgent", payload: "\(number)", qos: 1) }
                        broker.publish(topic: "end", payload: "end", qos: 1)
                    }
                    #expect(Set(seen) == Set((0..<10).map(String.init)))
                    #expect(seen.count == 15, "all by the one filter, half by the other: \(seen)")
                    var iterator = shared.makeAsyncIterator()
                    for _ in 0..<5 { #expect(await iterator.next() != nil) }
                }
            }
        }
        await broker.stop()
    }

    @Test func `noLocal on one of two`() async throws {
        let broker = try await ScriptedBroker.start()
        try await withRunningClient(testConfiguration(port: broker.port, tls: nil)) { client, _ in
            let seen = try await texts(
                client, [MQTTSubscription("a/#", noLocal: true), "a/b", "end"], until: "end"
            ) {
                try await client.publish("own", to: "a/b")
                broker.publish(topic: "a/b", payload: "another's", qos: 1)
                broker.publish(topic: "a/c", payload: "third", qos: 1)
                broker.publish(topic: "end", payload: "end", qos: 1)
            }
            #expect(seen == ["own", "another's", "third"])
        }
        await broker.stop()
    }

    @Test func `retained messages that only one of two wants`() async throws {
        let broker = try await ScriptedBroker.start()
        broker.publish(topic: "cfg/mine", payload: "retained", qos: 1, retain: true)
        try await withRunningClient(testConfiguration(port: broker.port, tls: nil)) { client, _ in
            let seen = try await texts(
                client, [MQTTSubscription("cfg/#", retainHandling: .doNotSend), "cfg/mine", "end"], until: "end"
            ) {
                broker.publish(topic: "cfg/mine", payload: "later", qos: 1)
                broker.publish(topic: "end", payload: "end", qos: 1)
            }
            #expect(seen == ["retained", "later"])
        }
        await broker.stop()
    }
}

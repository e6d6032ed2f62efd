// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Testing
import Turns

@Suite(
    "A filter over which the broker ends connections fails, and all others go on (core 7)", .turn(.scripted),
    .timeLimit(.minutes(1)))
struct PoisonFilterTests {
    @Test(arguments: PoisonEnding.all, [MQTTSession.clean, .persistent])
    func `with its name`(end: PoisonEnding, session: MQTTSession) async throws {
        let broker = try await ScriptedBroker.start()
        broker.objections = [.init(.subscribe(to: "forbidden/#"), end.ending)]
        try await withRunningClient(end.configuration(broker, session)) { client, log in
            try await client.subscribe(to: "news") { messages in
                let error = await #expect(throws: MQTTError.self) {
                    try await client.subscribe(to: "forbidden/#") { _ in }
                }
                #expect(error?.code == .endsConnection)
                #expect(error?.reasonCode == end.reasonCode)
                #expect(error?.refusedFilters == ["forbidden/#"])
                #expect(error?.message.contains("\"forbidden/#\"") == true)
                try await client.publish("alive", to: "news", qos: .exactlyOnce)
                #expect(await messages.first { _ in true }?.payloadString == "alive")
            }
            #expect(await log.stopped == nil)
        }
        // Three ends with a reason, or six without one, and the connection that lasts.
        #expect((4...9).contains(broker.connects.count))
        await broker.stop()
    }

    @Test func `one of several in a call is found, and a call that accepts refusals goes on`() async throws {
        let broker = try await ScriptedBroker.start()
        broker.objections = [.init(.subscribe(to: "bad"))]
        try await withRunningClient(PoisonEnding(ending: .close).configuration(broker, .clean)) { client, log in
            let filters: [MQTTSubscription] = ["a", "b", "bad", "c"]
            try await client.subscribe(toGrantedOf: filters) { messages in
                #expect(messages.grantedReasonCodes.map(\.isError) == [false, false, true, false])
                for topic in ["a", "b", "c"] { try await client.publish("x", to: topic) }
                var topics: [String] = []
                for await message in messages {
                    topics.append(message.topic)
                    if topics.count == 3 { break }
                }
                #expect(topics == ["a", "b", "c"])
            }
            #expect(await log.stopped == nil)
        }
        await broker.stop()
    }

    @Test func `one that is forbidden later does not keep the others from being restored`() async throws {
        let broker = try await ScriptedBroker.start()
        try await withRunningClient(PoisonEnding(ending: .close).configuration(broker, .clean)) { client, log in
            try await client.subscribe(to: "a") { messages in
                let error = await #expect(throws: MQTTError.self) {
                    try await client.subscribe(to: "later") { _ in
                        try await client.subscribe(to: MQTTSubscription("b", qos: .exactlyOnce)) { others in
                            broker.objections = [.init(.subscribe(to: "later"))]
                            broker.resetAll()
                            // The reset, six ends, and possibly one more end with two suspects at once.
                            #expect(await broker.waitUntil { $0.connects.count >= 8 })
                            try await client.publish("x", to: "a")
                            try await client.publish("x", to: "b")
                            #expect(await messages.first { _ in true }?.topic == "a")
                            #expect(await others.first { _ in true }?.topic == "b")
                        }
                    }
                }
                // The body has ended as it wanted to; its subscription had not.
                #expect(error?.code == .endsConnection)
            }
            #expect(broker.connects.count <= 10)
            #expect(await log.stopped == nil)
        }
        await broker.stop()
    }

    @Test func `an UNSUBSCRIBE over which a session ends connections fails`() async throws {
        let broker = try await ScriptedBroker.start()
        broker.objections = [.init(.unsubscribe(from: "old"))]
        try await withRunningClient(PoisonEnding(ending: .close).configuration(broker, .persistent)) { client, log in
            try await client.waitUntilConnected(timeout: .seconds(30))
            let error = await #expect(throws: MQTTError.self) { try await client.unsubscribe(from: ["old"]) }
            #expect(error?.code == .endsConnection)
            #expect(error?.refusedFilters == ["old"])
            let codes = try await client.unsubscribe(from: ["other"])
            #expect(codes == [.noSubscriptionExisted])
            #expect(await log.stopped == nil)
        }
        // Three ends with a reason, or six without one, and the connection that lasts.
        #expect((4...9).contains(broker.connects.count))
        await broker.stop()
    }
}

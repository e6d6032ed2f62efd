// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Testing
import Turns

/// The way in which a broker ends connections because of an operation that it rejects.
struct PoisonEnding: Sendable, CustomTestStringConvertible {
    var version = MQTTVersion.v5_0
    var ending: ScriptedBroker.Objection.Ending

    var testDescription: String { "\(version), \(ending)" }

    static let all: [PoisonEnding] =
        [.init(ending: .close), .init(ending: .closeWithoutAnswers), .init(version: .v3_1_1, ending: .close)]
        + [0x81, 0x82, 0x87].map { .init(ending: .disconnect(reasonCode: $0)) }

    func configuration(_ broker: ScriptedBroker, _ session: MQTTSession) -> MQTTClientConfiguration {
        var configuration = testConfiguration(port: broker.port, version: version, tls: nil)
        configuration.clientID = "poisoned"
        configuration.session = session
        return configuration
    }

    /// The reason code that an error of the operation has.
    var reasonCode: MQTTReasonCode? {
        if case .disconnect(let code) = ending { MQTTReasonCode(rawValue: code) } else { nil }
    }
}

@Suite(
    "A publish over which the broker ends connections fails, and all others go on (core 7)", .turn(.scripted),
    .timeLimit(.minutes(1)))
struct PoisonTests {
    private static let sessions: [MQTTSession] = [.clean, .persistent]

    private func error(_ task: Task<Void, any Error>) async -> MQTTError? {
        guard case .failure(let error) = await task.outcome else { return nil }
        return error as? MQTTError
    }

    /// The messages received on a topic, without duplicates.
    private func delivered(_ broker: ScriptedBroker, _ topic: String) -> [String] {
        var known: Set<String> = []
        return broker.routedMessages.filter { $0.topic == topic }.map(\.text).filter { known.insert($0).inserted }
    }

    @Test(arguments: PoisonEnding.all, sessions)
    func `with its topic named, and the others in their order`(end: PoisonEnding, session: MQTTSession) async throws {
        let broker = try await ScriptedBroker.start()
        broker.objections = [.init(.publish(to: "forbidden"), end.ending)]
        try await withRunningClient(end.configuration(broker, session)) { client, log in
            try await client.subscribe(to: "news") { messages in
                for number in 0..<5 { try client.enqueue("\(number)", to: "good") }
                let poison = Task { _ = try await client.publish("hidden text", to: "forbidden", qos: .exactlyOnce) }
                #expect(await broker.waitUntil { $0.connects.count >= 2 })
                for number in 5..<10 { try client.enqueue("\(number)", to: "good", qos: .exactlyOnce) }
                let error = await error(poison)
                #expect(error?.code == .endsConnection)
                #expect(error?.reasonCode == end.reasonCode)
                #expect(error?.message.contains("\"forbidden\"") == true)
                #expect(error?.message.contains("hidden text") == false)
                try await client.publish("10", to: "good", qos: .exactlyOnce)
                let connections = broker.connects.count
                try await client.publish("alive", to: "news")
                #expect(await messages.first { _ in true }?.payloadString == "alive")
                #expect(broker.connects.count == connections)
            }
            #expect(await log.stopped == nil)
            #expect(await log.violation == nil)
        }
        #expect(delivered(broker, "good") == (0...10).map { "\($0)" })
        // Three ends, and one more if it was not the oldest in the first.
        #expect((4...9).contains(broker.connects.count), "\(broker.connects.count) connections")
        await broker.stop()
    }

    @Test(arguments: sessions)
    func `a good one before it in the same read is not blamed`(session: MQTTSession) async throws {
        let end = PoisonEnding(ending: .closeWithoutAnswers)
        let broker = try await ScriptedBroker.start(script: [.silentAfterConnect])
        broker.objections = [.init(.publish(to: "forbidden"), end.ending)]
        try await withRunningClient(end.configuration(broker, session)) { client, log in
            // All wait before there is a connection, and go out in one turn.
            for number in 0..<20 { try client.enqueue("\(number)", to: "good") }
            let poison = Task { _ = try await client.publish("x", to: "forbidden") }
            for number in 20..<40 { try client.enqueue("\(number)", to: "good") }
            broker.setScript([.serve])
            broker.resetAll()
            #expect(await error(poison)?.code == .endsConnection)
            try await client.publish("40", to: "good")
            #expect(await log.stopped == nil)
        }
        #expect(delivered(broker, "good") == (0...40).map { "\($0)" })
        await broker.stop()
    }

    @Test func `several of them fail one after another`() async throws {
        let broker = try await ScriptedBroker.start()
        broker.objections = ["x", "y", "z"].map { .init(.publish(to: $0)) }
        try await withRunningClient(PoisonEnding(ending: .close).configuration(broker, .clean)) { client, log in
            let tasks = ["x", "a", "y", "b", "z", "c"].map { topic in
                (topic, Task { _ = try await client.publish("1", to: topic) })
            }
            for (topic, task) in tasks {
                #expect(await error(task)?.code == (["x", "y", "z"].contains(topic) ? .endsConnection : nil))
            }
            #expect(await log.stopped == nil)
        }
        await broker.stop()
    }

    @Test func `credentials are asked for once as refused, and the client does not stop`() async throws {
        let end = PoisonEnding(ending: .disconnect(reasonCode: 0x87))
        let broker = try await ScriptedBroker.start()
        broker.objections = [.init(.publish(to: "forbidden"), end.ending)]
        var configuration = end.configuration(broker, .clean)
        // A delay of the authentication tier would be noticeable.
        configuration.retry.maximumDelay = .seconds(60)
        configuration.retry.minimumAuthenticationDelay = .seconds(30)
        let provider = RecordingProvider()
        configuration.credentials = provider
        try await withRunningClient(configuration) { client, log in
            let poison = Task { _ = try await client.publish("x", to: "forbidden") }
            #expect(await error(poison)?.code == .endsConnection)
            try await client.publish("x", to: "good")
            #expect(await provider.purposes.count { $0 == .rejected } == 1)
            #expect(await log.stopped == nil)
        }
        await broker.stop()
    }

    @Test func `it is not confused with a broker that is slow to answer`() async throws {
        let broker = try await ScriptedBroker.start(script: [.withholdFirstAcknowledgement])
        try await withRunningClient(PoisonEnding(ending: .close).configuration(broker, .clean)) { client, log in
            let first = Task { _ = try await client.publish("first", to: "a") }
            #expect(await broker.waitUntil { $0.publishCount == 1 })
            broker.dropAll()
            // On this connection it is alone, and unanswered: the others wait, but not for ever.
            #expect(await broker.waitUntil { $0.publishCount == 2 })
            try await client.publish("second", to: "b")
            broker.setScript([.serve])
            broker.dropAll()
            #expect(await error(first)?.code == nil)
            #expect(await log.stopped == nil)
        }
        await broker.stop()
    }
}

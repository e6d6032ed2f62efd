// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Testing
import Turns

extension ScriptedBroker {
    /// Sends the SUBACK of the last SUBSCRIBE.
    func answerLastSubscribe(_ codes: [UInt8]) {
        let subscribe = receivedPackets.last { $0.type == .subscribe }
        // Behind the first byte and a length of one byte.
        let packetID = subscribe.map { Array($0.bytes[2..<4]) } ?? []
        inject([0x90, UInt8(3 + codes.count)] + packetID + [0] + codes)
    }

    /// Resets the connections, and answers the SUBSCRIBE of the next one.
    func resubscribe(_ codes: [UInt8]) async {
        let before = count(of: .subscribe)
        resetAll()
        #expect(await waitUntil { $0.count(of: .subscribe) == before + 1 })
        answerLastSubscribe(codes)
    }

    /// A broker that leaves the answer to each SUBSCRIBE to the test.
    static func withoutSuback() async throws -> ScriptedBroker {
        try await start(script: [.disconnectOn(.subscribe, count: 99, reasonCode: 0x80)])
    }
}

@Suite(
    "The end of a subscription does not wait for a filter that the broker has refused", .turn(.scripted),
    .timeLimit(.minutes(1)))
struct RefusedAndEndedTests {
    @Test(arguments: [MQTTSession.clean, .persistent])
    func `when it was asked for (delivery 2)`(session: MQTTSession) async throws {
        let broker = try await ScriptedBroker.withoutSuback()
        var configuration = testConfiguration(port: broker.port, tls: nil)
        configuration.session = session
        try await withRunningClient(configuration) { client, _ in
            let ending = Task {
                try await client.subscribe(toGrantedOf: ["a", "bad"]) { try await $0.unsubscribe() }
            }
            #expect(await broker.waitUntil { $0.count(of: .subscribe) == 1 })
            broker.answerLastSubscribe([1, 0x87])
            let codes = try await ending.value
            #expect(codes.last == .noSubscriptionExisted)
        }
        await broker.stop()
    }

    @Test func `after a reconnect (delivery 2)`() async throws {
        let broker = try await ScriptedBroker.withoutSuback()
        try await withRunningClient(testConfiguration(port: broker.port, tls: nil)) { client, log in
            let ending = Task {
                try await client.subscribe(to: "a", "bad") { messages in
                    await broker.resubscribe([1, 0x87])
                    #expect(await log.wait { $0.refusals.map(\.filter) == ["bad"] })
                    return try await messages.unsubscribe()
                }
            }
            #expect(await broker.waitUntil { $0.count(of: .subscribe) == 1 })
            broker.answerLastSubscribe([1, 1])
            let codes = try await ending.value
            #expect(codes.last == .noSubscriptionExisted)
            let unsubscribes = broker.receivedPackets.filter { $0.type == .unsubscribe }
            #expect(
                !unsubscribes.contains { packet in
                    packet.bytes.indices.contains { packet.bytes[$0...].starts(with: "bad".utf8) }
                })
        }
        await broker.stop()
    }
}

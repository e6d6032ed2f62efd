// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Testing
import Turns

@Suite("A broker gets no more filters in a packet than it takes (core 11)", .turn(.scripted), .timeLimit(.minutes(1)))
struct FilterLimitTests {
    private let nine = (0..<9).map { MQTTSubscription("topic/\($0)") }

    /// The number of filters in each packet of a type on a connection.
    private func filters(_ broker: ScriptedBroker, _ type: ReceivedPacketType, on connection: Int) -> [Int] {
        broker.receivedPackets.filter { $0.type == type && $0.connection == connection }.map { packet in
            packet.bytes.indices.count { packet.bytes[$0...].starts(with: "topic/".utf8) }
        }
    }

    private func configuration(_ broker: ScriptedBroker) -> MQTTClientConfiguration {
        var configuration = testConfiguration(port: broker.port, tls: nil)
        configuration.clientID = "limited"
        return configuration
    }

    @Test(arguments: [MQTTVersion.v3_1_1, .v5_0])
    func `nine filters are one SUBSCRIBE of eight and one of one, with each connection`(
        version: MQTTVersion
    ) async throws {
        let broker = try await ScriptedBroker.start()
        broker.objections = [.init(.filters(moreThan: 8))]
        var configuration = configuration(broker)
        configuration.version = version
        try await withRunningClient(configuration) { client, _ in
            try await client.waitUntilConnected(timeout: .seconds(30))
            try await client.subscribe(to: nine) { messages in
                #expect(messages.grantedReasonCodes.count == 9)
                var iterator = messages.makeAsyncIterator()
                for connection in 0..<3 {
                    #expect(
                        await broker.waitUntil { _ in filters(broker, .subscribe, on: connection).count == 2 })
                    #expect(filters(broker, .subscribe, on: connection) == [8, 1])
                    // The broker answers this one after the SUBSCRIBE.
                    try await client.publish("x", to: "topic/8")
                    #expect(await iterator.next()?.topic == "topic/8")
                    broker.resetAll()
                }
            }
        }
        #expect(broker.connects.count <= 4)
        await broker.stop()
    }

    @Test func `nine filters of nine calls are restored in the same way`() async throws {
        let broker = try await ScriptedBroker.start()
        broker.objections = [.init(.filters(moreThan: 8))]
        try await withRunningClient(configuration(broker)) { client, log in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for subscription in nine {
                    group.addTask { try await client.subscribe(to: subscription) { for await _ in $0 {} } }
                }
                #expect(await broker.waitUntil { $0.receivedPackets.count { $0.type == .subscribe } >= 2 })
                try await client.publish("x", to: "other")
                broker.resetAll()
                #expect(await log.wait { $0.connections.count == 2 })
                #expect(await broker.waitUntil { _ in filters(broker, .subscribe, on: 1).count == 2 })
                #expect(filters(broker, .subscribe, on: 1) == [8, 1])
                group.cancelAll()
            }
        }
        await broker.stop()
    }

    @Test func `nine filters that are given up are two UNSUBSCRIBE`() async throws {
        let broker = try await ScriptedBroker.start()
        broker.objections = [.init(.filters(moreThan: 8))]
        var configuration = configuration(broker)
        configuration.session = .persistent
        try await withRunningClient(configuration) { client, _ in
            try await client.waitUntilConnected(timeout: .seconds(30))
            let codes = try await client.unsubscribe(from: nine.map(\.filter))
            #expect(codes.count == 9)
        }
        #expect(filters(broker, .unsubscribe, on: 0) == [8, 1])
        await broker.stop()
    }

    @Test func `a broker that takes fewer gets half as many, and single filters at last`() async throws {
        let broker = try await ScriptedBroker.start()
        broker.objections = [.init(.filters(moreThan: 2))]
        var configuration = configuration(broker)
        configuration.receiving.maximumFiltersPerSubscribe = 100
        try await withRunningClient(configuration) { client, log in
            try await client.waitUntilConnected(timeout: .seconds(30))
            try await client.subscribe(to: nine) { messages in
                #expect(filters(broker, .subscribe, on: 0) == [9])
                #expect(!filters(broker, .subscribe, on: 1).contains { $0 > 1 })
                // 4 at once are too many still: another end, and all are restored.
                broker.resetAll()
                #expect(await broker.waitUntil { $0.connects.count == 4 })
                #expect(filters(broker, .subscribe, on: 2).first == 4)
                try await client.publish("x", to: "topic/8")
                #expect(await messages.first { _ in true }?.topic == "topic/8")
                broker.resetAll()
                #expect(await broker.waitUntil { _ in filters(broker, .subscribe, on: 4).count == 5 })
                #expect(filters(broker, .subscribe, on: 4) == [2, 2, 2, 2, 1])
            }
            #expect(await log.stopped == nil)
        }
        await broker.stop()
    }
}

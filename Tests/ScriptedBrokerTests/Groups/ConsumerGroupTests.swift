// SPDX-License-Identifier: Apache-2.0

import Logging
import Mosquitto
import MosquittoTesting
import ServiceLifecycle
import Synchronization
import Testing
import Turns

/// The messages that the members of a group have handled.
final class Shares: Sendable {
    private let texts = Mutex<[Int: [String]]>([:])

    func add(_ text: String, by member: Int) { texts.withLock { $0[member, default: []].append(text) } }
    subscript(member: Int) -> [String] { texts.withLock { $0[member] ?? [] } }
    var all: [String] { texts.withLock { $0.values.flatMap { $0 } } }
    var members: Set<Int> { texts.withLock { Set($0.keys) } }
}

/// Holds back the handling of messages.
private final class Gate: Sendable {
    private let opened = Atomic(false)
    var isOpen: Bool { opened.load(ordering: .relaxed) }
    func open() { opened.store(true, ordering: .relaxed) }
}

extension ScriptedBroker {
    /// The packets of the client with this identifier.
    fileprivate func packets(of clientID: String) -> [ReceivedPacket] {
        let connections = Set(connects.filter { $0.clientID == clientID }.map(\.connection))
        return receivedPackets.filter { connections.contains($0.connection) }
    }

    fileprivate func types(of clientID: String) -> [ReceivedPacketType] { packets(of: clientID).compactMap(\.type) }
}

@Suite("A consumer group", .turn(.scripted), .timeLimit(.minutes(1)))
struct ConsumerGroupTests {
    private func configuration(_ broker: ScriptedBroker, version: MQTTVersion = .v5_0) -> MQTTClientConfiguration {
        var configuration = testConfiguration(port: broker.port, version: version, tls: nil)
        configuration.clientID = "ingest"
        return configuration
    }

    private func group(
        _ broker: ScriptedBroker, members: Int, _ options: MQTTConsumerGroupOptions = .init(),
        version: MQTTVersion = .v5_0, member: @escaping @Sendable (MQTTGroupMember) async throws -> Void
    ) -> MQTTConsumerGroup {
        MQTTConsumerGroup(
            configuration(broker, version: version), group: "workers", filters: ["jobs/#"], members: members,
            options: options, logger: quiet, member: member)
    }

    /// Handles each message at once.
    private func storing(_ shares: Shares) -> @Sendable (MQTTGroupMember) async throws -> Void {
        { member in for await message in member.messages { shares.add(message.payloadString, by: member.number) } }
    }

    @Test func `whose plan is no plan ends for those that wait for its members, and runs once`() async throws {
        let broker = try await ScriptedBroker.start()
        let group = group(broker, members: 2, version: .v3_1_1) { _ in }
        let waiting = Task { await #expect(throws: MQTTError.self) { try await group.waitUntilConsuming() } }
        let error = await #expect(throws: MQTTError.self) { try await group.run() }
        #expect(error?.code == .unsupported || error?.code == .invalidConfiguration)
        #expect(await waiting.value?.code == .stopped)
        let again = await #expect(throws: MQTTError.self) { try await group.run() }
        #expect(again?.code == .alreadyRunning)
        await broker.stop()
    }

    @Test func `shares the messages among members with stable names`() async throws {
        let broker = try await ScriptedBroker.start()
        let shares = Shares()
        try await withMQTTConsumerGroup(
            configuration(broker), group: "workers", filters: ["jobs/#"], members: 3, logger: quiet,
            member: storing(shares)
        ) { group in
            try await group.waitUntilConsuming()
            #expect(group.members.map(\.clientID) == ["ingest-0", "ingest-1", "ingest-2"])
            #expect(group.members.allSatisfy { $0.phase == .consuming && $0.connection.isConnected })
            for number in 0..<30 { broker.publish(topic: "jobs/a", payload: "\(number)", qos: 1) }
            #expect(await eventually { shares.all.count == 30 })
            #expect(group.members.map(\.received) == [10, 10, 10])
        }
        #expect(Set(shares.all).count == 30)
        #expect((0..<3).map { shares[$0].count } == [10, 10, 10])
        #expect(Set(broker.connects.map(\.clientID)) == ["ingest-0", "ingest-1", "ingest-2"])
        #expect(broker.connects.allSatisfy { !$0.cleanStart && $0.sessionExpiry == 300 })
        // The sessions stay for the next run: no UNSUBSCRIBE, and no other expiry.
        #expect(broker.count(of: .unsubscribe) == 0)
        #expect(await broker.waitUntil { $0.count(of: .puback) == 30 })
        #expect(await broker.waitUntil { $0.disconnects == [0, 0, 0] })
        await broker.stop()
    }

    @Test func `resumes the sessions of its last run`() async throws {
        let broker = try await ScriptedBroker.start()
        let shares = Shares()
        for run in 1...2 {
            try await withMQTTConsumerGroup(
                configuration(broker), group: "workers", filters: ["jobs/#"], members: 2, logger: quiet,
                member: storing(shares)
            ) { group in
                try await group.waitUntilConsuming()
                #expect(await eventually { shares.all.count == 10 * (run - 1) })
            }
            // While nobody is there.
            for number in 0..<10 { broker.publish(topic: "jobs/a", payload: "\(run) \(number)", qos: 1) }
        }
        #expect(Set(shares.all).count == 10)
        await broker.stop()
    }

    @Test(arguments: [MQTTVersion.v5_0, .v3_1_1])
    func `a member that leaves handles all that the broker has for it, and ends its session`(
        version: MQTTVersion
    ) async throws {
        let broker = try await ScriptedBroker.start()
        let shares = Shares()
        let gate = Gate()
        var configuration = configuration(broker, version: version)
        // The broker keeps most of a member's share.
        configuration.receiving.receiveMaximum = 3
        try await withMQTTConsumerGroup(
            configuration, group: "workers", filters: ["jobs/#"], members: 2,
            options: .init(assumesSharedSubscriptions: true), logger: quiet
        ) { member in
            for await message in member.messages {
                while !gate.isOpen { try await Task.sleep(for: .milliseconds(2)) }
                shares.add(message.payloadString, by: member.number)
            }
        } during: { group in
            try await group.waitUntilConsuming()
            for number in 0..<40 { broker.publish(topic: "jobs/a", payload: "\(number)", qos: 1) }
            // Otherwise the UNSUBSCRIBE may be read first.
            #expect(await broker.waitUntil { $0.routedCount == 40 })
            let scaling = Task { try await group.scale(to: 1) }
            #expect(await broker.waitUntil { $0.types(of: "ingest-1").contains(.unsubscribe) })
            #expect(group.members.last?.phase == .leaving)
            for number in 40..<50 { broker.publish(topic: "jobs/a", payload: "\(number)", qos: 1) }
            gate.open()
            try await scaling.value
            #expect(group.members.map(\.number) == [0])
            #expect(shares[1].count == 20)
            #expect(await eventually { shares.all.count == 50 })
        }
        #expect(Set(shares.all) == Set((0..<50).map(String.init)))
        if version == .v5_0 {
            // DISCONNECT with a Session Expiry Interval of zero (MQTT 5.0, section 3.14.2.2.2).
            #expect(
                await broker.waitUntil {
                    $0.packets(of: "ingest-1").last?.bytes == [0xE0, 7, 0, 5, 0x11, 0, 0, 0, 0]
                })
        } else {
            // A clean session, and its end.
            #expect(broker.connects.last { $0.clientID == "ingest-1" }?.cleanStart == true)
        }
        await broker.stop()
    }

    @Test func `a member that leaves during an outage leaves after it`() async throws {
        let broker = try await ScriptedBroker.start()
        let shares = Shares()
        try await withMQTTConsumerGroup(
            configuration(broker), group: "workers", filters: ["jobs/#"], members: 2, logger: quiet,
            member: storing(shares)
        ) { group in
            try await group.waitUntilConsuming()
            broker.setScript([.closeAfterConnect])
            broker.resetAll()
            // Both members have lost their connections: UNSUBSCRIBE must wait.
            #expect(await broker.waitUntil { Set($0.connects.dropFirst(2).map(\.clientID)).count == 2 })
            let scaling = Task { try await group.scale(to: 1) }
            #expect(await broker.waitUntil { $0.connects.count >= 8 })
            for number in 0..<10 { broker.publish(topic: "jobs/a", payload: "\(number)", qos: 1) }
            #expect(await broker.waitUntil { $0.routedCount == 10 })
            broker.setScript([.serve])
            try await scaling.value
            #expect(await eventually { shares.all.count == 10 })
        }
        #expect(Set(shares.all).count == 10)
        #expect(shares[1].count == 5)
        await broker.stop()
    }

    @Test func `more members begin while it runs, and take their share`() async throws {
        let broker = try await ScriptedBroker.start()
        let shares = Shares()
        try await withMQTTConsumerGroup(
            configuration(broker), group: "workers", filters: ["jobs/#"], members: 1, logger: quiet,
            member: storing(shares)
        ) { group in
            try await group.waitUntilConsuming()
            try await group.scale(to: 3)
            #expect(group.members.map(\.number) == [0, 1, 2])
            for number in 0..<30 { broker.publish(topic: "jobs/a", payload: "\(number)", qos: 1) }
            #expect(await eventually { shares.all.count == 30 })
        }
        #expect(shares.members == [0, 1, 2])
        await broker.stop()
    }

    @Test func `the error of a body shuts the others down, and its message comes again`() async throws {
        struct Failure: Error {}
        let broker = try await ScriptedBroker.start()
        let shares = Shares()
        await #expect(throws: Failure.self) {
            try await withMQTTConsumerGroup(
                configuration(broker), group: "workers", filters: ["jobs/#"], members: 2, logger: quiet
            ) { member in
                for await message in member.messages {
                    if message.payloadString == "bad" { throw Failure() }
                    shares.add(message.payloadString, by: member.number)
                }
            } during: { group in
                try await group.waitUntilConsuming()
                broker.publish(topic: "jobs/a", payload: "good", qos: 1)
                broker.publish(topic: "jobs/a", payload: "bad", qos: 1)
                try await Task.sleep(for: .seconds(600))
            }
        }
        #expect(await broker.waitUntil { $0.disconnects == [0, 0] })
        try await withMQTTConsumerGroup(
            configuration(broker), group: "workers", filters: ["jobs/#"], members: 2, logger: quiet,
            member: storing(shares)
        ) { group in
            #expect(await eventually { Set(shares.all) == ["good", "bad"] })
        }
        await broker.stop()
    }

    @Test func `a graceful shutdown of its service group ends it after the messages received`() async throws {
        let broker = try await ScriptedBroker.start()
        let shares = Shares()
        let consumers = group(broker, members: 2) { member in
            for await message in member.messages {
                try await Task.sleep(for: .milliseconds(5))
                shares.add(message.payloadString, by: member.number)
            }
        }
        let services = ServiceGroup(services: [consumers], logger: quiet)
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await services.run() }
            try await consumers.waitUntilConsuming()
            for number in 0..<40 { broker.publish(topic: "jobs/a", payload: "\(number)", qos: 1) }
            #expect(await eventually { consumers.members.allSatisfy { $0.received == 20 } })
            await services.triggerGracefulShutdown()
            try await tasks.waitForAll()
        }
        #expect(Set(shares.all).count == 40)
        #expect(await broker.waitUntil { $0.count(of: .puback) == 40 })
        #expect(await broker.waitUntil { $0.disconnects == [0, 0] })
        await broker.stop()
    }

    @Test func `a cancelled run ends its members`() async throws {
        let broker = try await ScriptedBroker.start()
        let consumers = group(broker, members: 2, member: storing(Shares()))
        let running = Task { try await consumers.run() }
        try await consumers.waitUntilConsuming()
        running.cancel()
        let error = await #expect(throws: MQTTError.self) { try await running.value }
        #expect(error?.code == .cancelled)
        #expect(await broker.waitUntil { $0.openConnections == 0 })
        let again = await #expect(throws: MQTTError.self) { try await consumers.run() }
        #expect(again?.code == .alreadyRunning)
        await broker.stop()
    }

    @Test func `without a broker it waits, and a shutdown ends the wait`() async throws {
        let port = try freePort()
        var configuration = testConfiguration(port: port, tls: nil)
        configuration.clientID = "ingest"
        let consumers = MQTTConsumerGroup(
            configuration, group: "workers", filters: ["a"], members: 2, logger: quiet, member: storing(Shares()))
        async let running: Void = consumers.run()
        #expect(await eventually { consumers.members.map(\.phase) == [.joining, .joining] })
        await consumers.shutdown()
        try await running
        #expect(consumers.members.isEmpty)
    }
}

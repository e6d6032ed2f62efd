// SPDX-License-Identifier: Apache-2.0

import Foundation
import MosquittoTesting
import Testing
import Turns

@Suite("The flags of mosq sub", .turn(.command), .timeLimit(.minutes(1)))
struct SubscribeFlagsTests {
    private func packets(_ broker: ScriptedBroker, _ type: ReceivedPacketType) -> Int {
        broker.receivedPackets.count { $0.type == type }
    }

    private func subscribed(_ broker: ScriptedBroker) async -> Bool {
        await broker.waitUntil { $0.receivedPackets.contains { $0.type == .subscribe } }
    }

    @Test(arguments: ["311", "5"])
    func `-U ends a subscription that the session has from an earlier run`(version: String) async throws {
        let broker = try await ScriptedBroker.start()
        let session = ["-p", "\(broker.port)", "-c", "-i", "me", "-q", "1", "-V", version]
        #expect(try await MosqProcess(["sub", "-t", "a", "-t", "b", "-E"] + session).result().status == 0)
        #expect(packets(broker, .unsubscribe) == 0)
        #expect(try await MosqProcess(["sub", "-t", "b", "-U", "a", "-E"] + session).result().status == 0)
        #expect(packets(broker, .unsubscribe) == 1)
        broker.publish(topic: "a", payload: "unwanted", qos: 1)
        broker.publish(topic: "b", payload: "wanted", qos: 1)
        let result = try await MosqProcess(["sub", "-t", "b", "-C", "1"] + session).result()
        #expect(result.output == "wanted\n")
        await broker.stop()
    }

    @Test func `retained messages are cleared, except those that are filtered out`() async throws {
        let broker = try await ScriptedBroker.start()
        broker.publish(topic: "a/1", payload: "one", retain: true)
        broker.publish(topic: "a/2", payload: "two", retain: true)
        broker.publish(topic: "a/kept", payload: "kept", retain: true)
        let sub = try MosqProcess(
            ["sub", "-p", "\(broker.port)", "-t", "a/+", "-T", "a/kept", "--remove-retained", "--retained-only", "-v"])
        #expect(await subscribed(broker))
        let result = try await sub.result()
        #expect(result.status == 0)
        #expect(result.output.split(separator: "\n").sorted() == ["a/1 one", "a/2 two"])
        #expect(broker.publishes.map(\.topic).sorted() == ["a/1", "a/2"])
        #expect(broker.publishes.allSatisfy { $0.payload.isEmpty && $0.retain && $0.qos == 1 })
        let left = try await MosqProcess(["sub", "-p", "\(broker.port)", "-t", "a/+", "-W", "3", "-v"]).result()
        #expect(left.output == "a/kept kept\n")
        await broker.stop()
    }

    @Test func `a part of the messages is printed, and all are counted`() async throws {
        let broker = try await ScriptedBroker.start()
        let sub = try MosqProcess(
            ["sub", "-p", "\(broker.port)", "-t", "a", "--random-filter", "50", "-C", "1000", "-q", "1"])
        #expect(await subscribed(broker))
        for number in 0..<1_000 { broker.publish(topic: "a", payload: "\(number)", qos: 1) }
        let lines = try await sub.result().output.split(separator: "\n")
        // Ten standard deviations on both sides.
        #expect((342...658).contains(lines.count))
        await broker.stop()
    }

    @Test(arguments: ["0", "100.1", "-5"]) func `another part is a mistake`(percentage: String) async throws {
        let result = try await runMosq("sub", "-t", "a", "--random-filter", percentage)
        #expect(result.status == 1)
        #expect(result.errorLines.first == "Error: --random-filter chance must be between 0.1-100.0")
    }

    @Test func `what the broker grants is enough`() async throws {
        let broker = try await ScriptedBroker.start()
        // Wildcard Subscription Available: no.
        broker.connackProperties = [0x28, 0]
        let sub = try MosqProcess(
            ["sub", "-p", "\(broker.port)", "-V", "5", "-t", "a/#", "-t", "b", "-t", "c", "-C", "1"])
        #expect(await subscribed(broker))
        broker.publish(topic: "c", payload: "granted")
        let result = try await sub.result()
        #expect(result.status == 0)
        #expect(result.output == "granted\n")
        // There is no moment in which the others are not subscribed to.
        let other = try MosqProcess(
            ["sub", "-p", "\(broker.port)", "-V", "5", "-d", "-t", "a/#", "-t", "d", "-C", "1"])
        #expect(await broker.waitUntil { $0.receivedPackets.count { $0.type == .subscribe } == 2 })
        broker.publish(topic: "d", payload: "granted")
        let otherResult = try await other.result()
        #expect(otherResult.status == 0)
        #expect(otherResult.output.contains("Subscribed (mid: 1): 162, 0\n"))
        #expect(otherResult.output.contains("\ngranted\n"))
        #expect(broker.receivedPackets.count { $0.type == .subscribe } == 2)
        #expect(broker.receivedPackets.count { $0.type == .unsubscribe } == 0)
        let denied = try await runMosq("sub", "-p", "\(broker.port)", "-V", "5", "-t", "a/#", "-t", "+")
        #expect(denied.status == 0)
        #expect(denied.errors == "All subscription requests were denied.\n")
        await broker.stop()
    }

    @Test(arguments: [(SIGTERM, 0), (SIGINT, 0), (SIGALRM, 27)] as [(Int32, Int32)])
    func `a signal lets a broker of MQTT 5 0 publish the will`(signal: Int32, status: Int32) async throws {
        let broker = try await ScriptedBroker.start()
        let sub = try MosqProcess(["sub", "-p", "\(broker.port)", "-V", "5", "-t", "a"])
        #expect(await subscribed(broker))
        sub.send(signal)
        #expect(try await sub.result().status == status)
        // MQTT 5.0, section 3.14.2.1: with Will Message.
        #expect(await broker.waitUntil { $0.disconnects == [4] })
        await broker.stop()
    }

    @Test func `before the CONNACK the time limit is status 255, without a word`() async throws {
        let broker = try await ScriptedBroker.start(script: [.silentAfterConnect])
        let result = try await runMosq("sub", "-p", "\(broker.port)", "-t", "a", "-W", "1")
        #expect(result.status == 255)
        #expect(result.errors == "")
        await broker.stop()
    }

    @Test(arguments: [("always", UInt8(0x00)), ("new", 0x10), ("never", 0x20)])
    func `retained messages are sent as asked for`(handling: String, options: UInt8) async throws {
        let broker = try await ScriptedBroker.start()
        let result = try await runMosq(
            "sub", "-p", "\(broker.port)", "-V", "5", "-t", "a", "--retain-handling", handling, "-E")
        #expect(result.status == 0)
        let packet = try #require(broker.receivedPackets.first { $0.type == .subscribe })
        #expect(packet.bytes.last == options)
        let wrong = try await runMosq("sub", "-V", "5", "-t", "a", "--retain-handling", "maybe")
        #expect(wrong.status == 1)
        #expect(wrong.errors.contains("always, new or never"))
        await broker.stop()
    }

    @Test func `a session that is not resumed may be left for a later client`() async throws {
        let broker = try await ScriptedBroker.start()
        let result = try await runMosq(
            "sub", "-p", "\(broker.port)", "-V", "5", "-t", "a", "-i", "me", "-x", "60", "-q", "1", "-E", "-D",
            "disconnect", "reason-string", "bye")
        #expect(result.status == 0)
        let connect = try #require(broker.connects.first)
        #expect(connect.cleanStart)
        #expect(connect.sessionExpiry == 60)
        #expect(await broker.waitUntil { !$0.disconnects.isEmpty })
        let disconnect = try #require(broker.receivedPackets.first { $0.type == .disconnect })
        #expect(String(decoding: disconnect.bytes, as: UTF8.self).contains("bye"))
        broker.publish(topic: "a", payload: "meanwhile", qos: 1)
        let later = try await runMosq(
            "sub", "-p", "\(broker.port)", "-V", "5", "-t", "a", "-i", "me", "-c", "-q", "1", "-C", "1")
        #expect(later.output == "meanwhile\n")
        await broker.stop()
    }

    @Test func `a session that is resumed may end with the command`() async throws {
        let broker = try await ScriptedBroker.start()
        let result = try await runMosq(
            "sub", "-p", "\(broker.port)", "-V", "5", "-t", "a", "-i", "me", "-c", "-x", "0", "-E")
        #expect(result.status == 0)
        #expect(broker.connects.first?.cleanStart == false)
        #expect(await broker.waitUntil { !$0.disconnects.isEmpty })
        let disconnect = try #require(broker.receivedPackets.first { $0.type == .disconnect })
        // Normal, with a Session Expiry Interval of 0.
        #expect(disconnect.bytes == [0xE0, 7, 0, 5, 0x11, 0, 0, 0, 0])
        await broker.stop()
    }
}

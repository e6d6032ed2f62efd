// SPDX-License-Identifier: Apache-2.0

import Foundation
import MosquittoTesting
import Testing
import Turns

@Suite("mosq sub", .turn(.command), .timeLimit(.minutes(2)))
struct SubscribeCommandTests {
    private func subscribed(_ broker: ScriptedBroker, _ count: Int = 1) async -> Bool {
        await broker.waitUntil { $0.receivedPackets.count { $0.type == .subscribe } >= count }
    }

    @Test func `what pub sends, sub prints`() async throws {
        let broker = try await ScriptedBroker.start()
        let sub = try MosqProcess(["sub", "-p", "\(broker.port)", "-t", "a/#", "-t", "b", "-v", "-C", "3", "-q", "1"])
        #expect(await subscribed(broker))
        #expect(try await runMosq("pub", "-p", "\(broker.port)", "-t", "a/x", "-m", "one", "-q", "1").status == 0)
        #expect(try await runMosq("pub", "-p", "\(broker.port)", "-t", "b", "-n", "-q", "1").status == 0)
        #expect(try await runMosq("pub", "-p", "\(broker.port)", "-t", "a/y", "-m", "three", "-q", "1").status == 0)
        let result = try await sub.result()
        #expect(result.status == 0)
        #expect(result.output == "a/x one\nb (null)\na/y three\n")
        #expect(result.errors == "")
        await broker.stop()
    }

    @Test
    func `bytes are printed as they came, without newlines if told so, filtered, and an empty message is no line`()
        async throws
    {
        let broker = try await ScriptedBroker.start()
        broker.publish(topic: "a/1", payload: "retained", retain: true)
        let sub = try MosqProcess(
            ["sub", "-p", "\(broker.port)", "-t", "a/+", "-T", "a/no", "-N", "-R", "-C", "3"])
        #expect(await subscribed(broker))
        broker.publish(topic: "a/no", payload: "filtered")
        broker.publish(topic: "a/1", payload: [])
        broker.publish(topic: "a/1", payload: [0x00, 0x41])
        broker.publish(topic: "a/1", payload: "B")
        let result = try await sub.result()
        #expect(result.status == 0)
        #expect(result.output == "\u{0}AB")
        await broker.stop()
    }

    @Test(.enabled(if: FileManager.default.fileExists(atPath: "/dev/full"), "the system has no /dev/full"))
    func `a full disk is reported, and is no success`() async throws {
        let broker = try await ScriptedBroker.start()
        broker.publish(topic: "a", payload: "kept", retain: true)
        let command = "exec '\(MosqProcess.executable.path)' sub -p \(broker.port) -t a >/dev/full"
        let result = try await MosqProcess(["-c", command], executable: "/bin/sh").result()
        #expect(result.status == 1)
        #expect(result.errors == "Error: standard output: No space left on device\n")
        await broker.stop()
    }

    @Test func `only retained messages, until another one comes`() async throws {
        let broker = try await ScriptedBroker.start()
        broker.publish(topic: "a", payload: "kept", retain: true)
        let sub = try MosqProcess(["sub", "-p", "\(broker.port)", "-t", "a", "--retained-only"])
        #expect(await subscribed(broker))
        broker.publish(topic: "a", payload: "new")
        let result = try await sub.result()
        #expect(result.status == 0)
        #expect(result.output == "kept\n")
        await broker.stop()
    }

    /// More than a buffer holds, which would stop the reading, and all of it before the SUBACK.
    @Test func `a session that is resumed may have many messages`() async throws {
        let broker = try await ScriptedBroker.start()
        let session = ["sub", "-p", "\(broker.port)", "-t", "a", "-c", "-i", "me", "-q", "1"]
        #expect(try await MosqProcess(session + ["-E"]).result().status == 0)
        for number in 0..<10_000 { broker.publish(topic: "a", payload: "\(number)", qos: 1) }
        let result = try await MosqProcess(session + ["-C", "10000"]).result()
        #expect(result.status == 0)
        #expect(result.output == (0..<10_000).map { "\($0)\n" }.joined())
        await broker.stop()
    }

    @Test func `a time limit is status 27`() async throws {
        let broker = try await ScriptedBroker.start()
        let result = try await runMosq("sub", "-p", "\(broker.port)", "-t", "a", "-W", "3")
        #expect(result.status == 27)
        #expect(result.errors == "Timed out\n")
        await broker.stop()
    }

    @Test func `it ends after the acknowledgement if told so`() async throws {
        let broker = try await ScriptedBroker.start()
        #expect(try await runMosq("sub", "-p", "\(broker.port)", "-t", "a", "-E").status == 0)
        await broker.stop()
    }

    @Test(arguments: [SIGINT, SIGTERM])
    func `a signal ends it with a DISCONNECT, and the session keeps its subscription`(signal: Int32) async throws {
        let broker = try await ScriptedBroker.start()
        let sub = try MosqProcess(["sub", "-p", "\(broker.port)", "-t", "a", "-c", "-i", "me", "-q", "1"])
        #expect(await subscribed(broker))
        sub.send(signal)
        #expect(try await sub.result().status == 0)
        #expect(await broker.waitUntil { $0.disconnects.count == 1 })
        #expect(broker.receivedPackets.count { $0.type == .unsubscribe } == 0)
        broker.publish(topic: "a", payload: "while away", qos: 1)
        let again = try await runMosq("sub", "-p", "\(broker.port)", "-t", "a", "-c", "-i", "me", "-q", "1", "-C", "1")
        #expect(again.output == "while away\n")
        await broker.stop()
    }

    @Test func `before the connection a signal is status 255`() async throws {
        let sub = try MosqProcess(["sub", "-p", "\(try freePort())", "-t", "a", "--retry", "--events"])
        #expect(try await sub.waitForEvent("attemptFailed"))
        sub.send(SIGTERM)
        let result = try await sub.result()
        #expect(result.status == 255)
        #expect(!result.wasKilled)
    }

    @Test func `a lost connection is made again`() async throws {
        let broker = try await ScriptedBroker.start()
        let sub = try MosqProcess(["sub", "-p", "\(broker.port)", "-t", "a", "-C", "1"])
        #expect(await subscribed(broker))
        broker.dropAll()
        #expect(await subscribed(broker, 2))
        broker.publish(topic: "a", payload: "back")
        let result = try await sub.result()
        #expect(result.status == 0)
        #expect(result.output == "back\n")
        await broker.stop()
    }

    @Test(arguments: [("mqttv311", UInt8(4), "Connection Refused: bad user name or password."), ("5", 0x8A, "Banned")])
    func `a refusal is the status`(version: String, code: UInt8, text: String) async throws {
        let broker = try await ScriptedBroker.start(script: [.refuse(code: code, close: true)])
        let result = try await runMosq("sub", "-p", "\(broker.port)", "-t", "a", "-V", version)
        #expect(result.status == Int32(code))
        #expect(result.errors == "Connection error: \(text)\n")
        await broker.stop()
    }

    @Test func `many messages are printed in order`() async throws {
        let broker = try await ScriptedBroker.start()
        broker.recordPublishes = false
        let sub = try MosqProcess(["sub", "-p", "\(broker.port)", "-t", "a", "-C", "20000", "-q", "1"])
        #expect(await subscribed(broker))
        let lines = (0..<20_000).map(String.init)
        let pub = try await runMosq(
            "pub", "-p", "\(broker.port)", "-t", "a", "-l", "-q", "1", input: lines.joined(separator: "\n"))
        #expect(pub.status == 0)
        #expect(try await sub.result().output == lines.joined(separator: "\n") + "\n")
        await broker.stop()
    }
}

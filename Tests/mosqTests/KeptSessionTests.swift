// SPDX-License-Identifier: Apache-2.0

import Foundation
import MosquittoTesting
import Testing
import Turns

@Suite("mosq sub and a session that the broker keeps", .turn(.command), .timeLimit(.minutes(2)))
struct KeptSessionTests {
    private func session(_ broker: ScriptedBroker, _ qos: String, _ version: String) -> [String] {
        ["sub", "-p", "\(broker.port)", "-t", "a", "-c", "-i", "me", "-q", qos, "-V", version]
    }

    /// Makes a session with these messages.
    private func start(_ messages: [String], _ qos: String, _ version: String) async throws -> ScriptedBroker {
        let broker = try await ScriptedBroker.start()
        #expect(try await MosqProcess(session(broker, qos, version) + ["-E"]).result().status == 0)
        for message in messages { broker.publish(topic: "a", payload: message, qos: qos == "1" ? 1 : 2) }
        return broker
    }

    // mosquitto#2134
    @Test(arguments: ["mqttv311", "mqttv5"], ["1", "2"])
    func `-C takes no more messages from the broker than it prints (case 2)`(version: String, qos: String) async throws
    {
        let letters = "ABCDEFGHIJ".map(String.init)
        let broker = try await start(letters, qos, version)
        var printed = ""
        for count in ["1", "1", "3", "1", "4"] {
            let result = try await MosqProcess(session(broker, qos, version) + ["-C", count, "-W", "20"]).result()
            #expect(result.status == 0)
            printed += result.output
        }
        #expect(printed == letters.map { $0 + "\n" }.joined())
        await broker.stop()
    }

    @Test func `a session that is kept without -c is one too (case 2)`() async throws {
        let broker = try await ScriptedBroker.start()
        let arguments = ["sub", "-p", "\(broker.port)", "-t", "a", "-i", "me", "-q", "1", "-V", "5", "-x", "600"]
        let first = try MosqProcess(arguments + ["-C", "2"])
        #expect(await broker.waitUntil { $0.receivedPackets.contains { $0.type == .subscribe } })
        for number in 1...6 { broker.publish(topic: "a", payload: "\(number)", qos: 1) }
        #expect(try await first.result().output == "1\n2\n")
        let second = try await MosqProcess(arguments + ["-c", "-C", "4", "-W", "20"]).result()
        #expect(second.output == "3\n4\n5\n6\n")
        await broker.stop()
    }

    // mosquitto#2811
    @Test(arguments: ["mqttv311", "mqttv5"], ["1", "2"])
    func `a reader that hangs, and a command that is killed, lose no message (case 1)`(version: String, qos: String)
        async throws
    {
        let messages = (0..<3_000).map { "\($0) " + String(repeating: "x", count: 100) }
        let broker = try await start(messages, qos, version)
        let reader = try CommandPipe(.output)
        let sub = try reader.start(session(broker, qos, version))
        // The pipe is full, and the command waits.
        #expect(await reader.waitUntilFull())
        sub.send(SIGKILL)
        _ = try await sub.result()
        let first = reader.rest().split(separator: "\n").map(String.init)
        #expect(first.count > 100)
        let second = try MosqProcess(session(broker, qos, version))
        // The last one, since messages arrive in order.
        #expect(try await second.waitForOutput("\n2999 "))
        second.send(SIGTERM)
        let rest = try await second.result().output.split(separator: "\n").map(String.init)
        // The line that was being written may be cut.
        #expect(Set(first + rest).isSuperset(of: messages))
        await broker.stop()
    }

    // mosquitto#2164
    @Test(arguments: [["sub", "-t", "quiet"], ["rr", "-t", "request", "-e", "quiet", "-m", "x"]])
    func `a reader that leaves ends the command, though no message comes (case 7)`(arguments: [String]) async throws {
        let broker = try await ScriptedBroker.start()
        let reader = try CommandPipe(.output)
        let command = try reader.start(arguments + ["-p", "\(broker.port)"])
        #expect(await broker.waitUntil { $0.receivedPackets.contains { $0.type == .subscribe } })
        reader.close()
        let result = try await command.result()
        #expect(result.status == 0)
        #expect(!result.wasKilled)
        #expect(result.errors == "")
        #expect(await broker.waitUntil { $0.disconnects.count == 1 })
        await broker.stop()
    }

    @Test func `a reader that leaves before there is a connection ends the command (case 7)`() async throws {
        let reader = try CommandPipe(.output)
        let command = try reader.start(["sub", "-t", "quiet", "-p", "\(try freePort())", "--retry", "--events"])
        #expect(try await command.waitForEvent("attemptFailed"))
        reader.close()
        let result = try await command.result()
        #expect(result.status == 0)
        #expect(!result.wasKilled)
    }
}

// SPDX-License-Identifier: Apache-2.0

import Foundation
import MosquittoTesting
import Testing
import Turns

@Suite("mosq pub", .turn(.command), .timeLimit(.minutes(2)))
struct PublishCommandTests {
    @Test(arguments: ["mqttv31", "mqttv311", "mqttv5"], ["0", "1", "2"])
    func `a message arrives as it was given`(version: String, qos: String) async throws {
        let broker = try await ScriptedBroker.start()
        let result = try await runMosq(
            "pub", "-p", "\(broker.port)", "-V", version, "-q", qos, "-t", "a/b", "-m", "-hällo", "-r")
        #expect(result.status == 0)
        #expect(result.output + result.errors == "")
        #expect(await broker.waitUntil { $0.routedMessages.count == 1 && $0.disconnects.count == 1 })
        let message = try #require(broker.routedMessages.first)
        #expect(message.topic == "a/b")
        #expect(message.text == "-hällo")
        #expect(message.qos == UInt8(qos))
        #expect(message.retain)
        #expect(broker.connects.first?.protocolLevel == (version == "mqttv5" ? 5 : version == "mqttv31" ? 3 : 4))
        await broker.stop()
    }

    // rtl_433#3108
    @Test func `a payload and a password are bytes, whatever they are (case 10)`() async throws {
        let broker = try await ScriptedBroker.start()
        let command =
            "exec '\(MosqProcess.executable.path)' pub -p \(broker.port) -q 1 -t a -u u -m \"$(printf '\\377\\300\\257')\""
            + " -P \"$(printf 'p\\200')\" --will-topic w --will-payload \"$(printf '\\376')\""
        let result = try await MosqProcess(["-c", command], executable: "/bin/sh").result()
        #expect(result.status == 0)
        #expect(result.errors == "")
        #expect(broker.publishes.map(\.payload) == [[0xFF, 0xC0, 0xAF]])
        let connect = try #require(broker.receivedPackets.first)
        #expect(connect.bytes.suffix(4) == [0, 2, 0x70, 0x80])
        #expect(broker.connects.first?.willPayload == [0xFE])
        let topic = "exec '\(MosqProcess.executable.path)' pub -p \(broker.port) -m x -t \"$(printf '\\377')\""
        let refused = try await MosqProcess(["-c", topic], executable: "/bin/sh").result()
        #expect(refused.status == 1)
        #expect(refused.errors.hasPrefix("Error: Malformed UTF-8 in -t argument.\n"))
        await broker.stop()
    }

    @Test func `lines are messages, in their order, the last one without a newline too`() async throws {
        let broker = try await ScriptedBroker.start()
        let lines = (0..<5_000).map { "line \($0)" } + ["", "last"]
        let result = try await runMosq(
            "pub", "-p", "\(broker.port)", "-t", "a", "-l", "-q", "1", input: lines.joined(separator: "\n"))
        #expect(result.status == 0)
        #expect(broker.publishes.map(\.text) == lines)
        await broker.stop()
    }

    /// Nobody knows how long a line has waited in the pipe, but the time in the command is counted.
    @Test func `a line's message expiry counts from when the line was read (field case 16)`() async throws {
        let outage = ConnectionScript.refuse(code: 0x88, close: true)
        let broker = try await ScriptedBroker.start(script: [.serve, outage])
        let input = try CommandPipe(.input)
        let process = try input.start([
            "pub", "-p", "\(broker.port)", "-t", "a", "-l", "-q", "1", "-V", "5", "-D", "publish",
            "message-expiry-interval", "600", "--retry", "--retry-base-delay", "0.05", "--retry-max-delay", "0.2",
            "--events",
        ])
        #expect(try await process.waitForEvent("connected"))
        broker.dropAll()
        #expect(try await process.waitForEvent("attemptFailed"))
        try input.write("line\n")
        #expect(await input.waitUntilEmpty())
        // More than a second of the interval.
        let read = ContinuousClock.now
        #expect(await eventually { .now - read > .seconds(2) })
        broker.setScript([.serve])
        input.close()
        #expect(try await process.result().status == 0)
        #expect(broker.publishes.map(\.text) == ["line"])
        let interval = broker.publishes.first?.properties.first { $0.identifier == 2 }?.integer
        #expect((500..<600).contains(try #require(interval)))
        await broker.stop()
    }

    @Test func `a file, standard input and nothing can be sent, and repeated`() async throws {
        let broker = try await ScriptedBroker.start()
        let folder = try TemporaryDirectory()
        let file = try folder.write("from\na file\n", to: "message")
        let port = "\(broker.port)"
        #expect(try await runMosq("pub", "-p", port, "-t", "a", "-f", file, "--repeat", "2", "-q", "1").status == 0)
        #expect(try await runMosq("pub", "-p", port, "-t", "a", "-s", "-q", "1", input: "from\nstdin").status == 0)
        #expect(try await runMosq("pub", "-p", port, "-t", "a", "-n", "-q", "1").status == 0)
        #expect(broker.publishes.map(\.text) == ["from\na file\n", "from\na file\n", "from\nstdin", ""])
        await broker.stop()
    }

    @Test(arguments: [["-m", "x"], ["-l"]])
    func `a port where nobody listens ends it at once`(source: [String]) async throws {
        let process = try MosqProcess(["pub", "-p", "\(try freePort())", "-t", "a"] + source, input: nil)
        let result = try await process.result()
        #expect(result.status == 1)
        #expect(result.errors == "Error: Connection refused\n")
    }

    @Test func `a refusal is the status`() async throws {
        let broker = try await ScriptedBroker.start(script: [
            .refuse(code: 5, close: true), .refuse(code: 135, close: true),
        ])
        let first = try await runMosq("pub", "-p", "\(broker.port)", "-t", "a", "-m", "x")
        #expect(first.status == 5)
        #expect(
            first.errors
                == "Connection error: Connection Refused: not authorised.\nError: The connection was refused.\n")
        let second = try await runMosq("pub", "-p", "\(broker.port)", "-t", "a", "-m", "x", "-V", "5", "--quiet")
        #expect(second.status == 135)
        #expect(second.errors == "")
        await broker.stop()
    }

    @Test func `a lost connection is status 7`() async throws {
        let broker = try await ScriptedBroker.start()
        let process = try MosqProcess(
            ["pub", "-p", "\(broker.port)", "-t", "a", "-m", "x", "--repeat", "2", "--repeat-delay", "60"])
        #expect(await broker.waitUntil { $0.publishCount == 1 })
        broker.dropAll()
        let result = try await process.result()
        #expect(result.status == 7)
        #expect(result.errors == "Error: The connection was lost.\n")
        await broker.stop()
    }

    @Test func `an interrupted one dies of the signal`() async throws {
        let process = try MosqProcess(
            ["pub", "-p", "\(try freePort())", "-t", "a", "-m", "x", "--retry", "--events"])
        #expect(try await process.waitForEvent("attemptFailed"))
        process.send(SIGTERM)
        let result = try await process.result()
        #expect(result.wasKilled)
    }

    @Test func `a command without a message or a topic says so`() async throws {
        for arguments in [["-t", "a"], ["-m", "x"]] {
            let result = try await MosqProcess(["pub"] + arguments).result()
            #expect(result.status == 1)
            #expect(result.errors == "Error: Both topic and message must be supplied.\n")
        }
        let unknown = try await runMosq("pub", "--foo")
        #expect(unknown.status == 1)
        #expect(unknown.errors.hasPrefix("Error: Unknown option '--foo'"))
    }
}

// SPDX-License-Identifier: Apache-2.0

import Foundation
import MosquittoTesting
import Testing
import Turns

@testable import mosq

@Suite("mosq bench", .turn(.command), .timeLimit(.minutes(2)))
struct BenchTests {
    private static let keys: Set<String> = [
        "messages", "seconds", "messagesPerSecond", "bytesPerSecond", "latencyMs", "cpuMicrosPerMessage",
        "peakRSSBytes",
        "errors",
    ]

    /// The one object of `--json`, whose keys are an interface.
    private func figures(_ result: MosqResult) throws -> JSON {
        let json = try #require(JSON(result.output), "\(result)")
        #expect(json.keys == Self.keys)
        #expect(json["latencyMs"]?.keys == ["p50", "p90", "p99", "p999", "max"])
        #expect(json["cpuMicrosPerMessage"]?.keys == ["user", "system"])
        return json
    }

    @Test(arguments: ["0", "1", "2"])
    func `pub publishes so many messages of that size, and says how fast`(qos: String) async throws {
        let broker = try await ScriptedBroker.start()
        let result = try await runMosq(
            "bench", "pub", "-p", "\(broker.port)", "-t", "a", "-s", "50", "-q", qos, "-n", "300", "--window", "7",
            "--json")
        #expect(result.status == 0)
        #expect(result.errors == "")
        let figures = try figures(result)
        #expect(figures["messages"] == 300)
        #expect(figures["errors"] == 0)
        let seconds = try #require(figures["seconds"]?.number)
        let rate = try #require(figures["messagesPerSecond"]?.number)
        #expect(seconds > 0)
        #expect(abs(rate * seconds / 300 - 1) < 0.01)
        #expect(abs((figures["bytesPerSecond"]?.number ?? 0) / rate - 50) < 0.5)
        let latencies = try ["p50", "p90", "p99", "p999", "max"].map {
            try #require(figures["latencyMs"]?[$0]?.number)
        }
        #expect(latencies == latencies.sorted())
        #expect(latencies[0] > 0)
        // Linux measures the sum, and samples how it is shared: one of the two may be 0 in a short run.
        let user = try #require(figures["cpuMicrosPerMessage"]?["user"]?.number)
        let system = try #require(figures["cpuMicrosPerMessage"]?["system"]?.number)
        #expect(user >= 0 && system >= 0 && user + system > 0)
        #expect((figures["peakRSSBytes"]?.number ?? 0) > 1_000_000)
        #expect(await broker.waitUntil { $0.publishCount == 300 })
        #expect(broker.publishes.allSatisfy { $0.payload.count == 50 && $0.qos == UInt8(qos) })
        await broker.stop()
    }

    @Test func `pub shares the messages among its clients`() async throws {
        let broker = try await ScriptedBroker.start()
        let result = try await runMosq(
            "bench", "pub", "-p", "\(broker.port)", "-t", "a", "-n", "100", "-q", "1", "--clients", "3", "-i", "me")
        #expect(result.status == 0)
        #expect(result.output.hasPrefix("100 messages in "))
        #expect(result.output.hasSuffix("; errors: 0\n"))
        #expect(result.output.split(separator: "\n").count == 1)
        #expect(Set(broker.connects.map(\.clientID)) == ["me-1", "me-2", "me-3"])
        #expect(broker.publishCount == 100)
        await broker.stop()
    }

    @Test(arguments: ["0", "1", "2"])
    func `--nowait queues all messages, and ends when the broker has the last one`(qos: String) async throws {
        let broker = try await ScriptedBroker.start()
        let result = try await runMosq(
            "bench", "pub", "-p", "\(broker.port)", "-t", "a", "-n", "1001", "-q", qos, "--nowait", "--clients", "2",
            "--json")
        #expect(result.status == 0)
        let figures = try figures(result)
        #expect(figures["messages"] == 1_001)
        #expect(figures["latencyMs"]?["p50"] == .null)
        #expect(await broker.waitUntil { $0.publishCount == 1_001 })
        await broker.stop()
    }

    @Test func `--rate spreads the messages over the time`() async throws {
        let broker = try await ScriptedBroker.start()
        let result = try await runMosq(
            "bench", "pub", "-p", "\(broker.port)", "-t", "a", "-n", "50", "--rate", "100", "-q", "1", "--json")
        // The last one is due after 0.49 s.
        #expect((try figures(result)["seconds"]?.number ?? 0) >= 0.49)
        await broker.stop()
    }

    @Test func `sub counts from the first message, with the latency that bench pub's messages tell of`() async throws {
        let broker = try await ScriptedBroker.start()
        let sub = try MosqProcess([
            "bench", "sub", "-p", "\(broker.port)", "-t", "a", "-n", "200", "-q", "1", "--clients", "2", "--json",
        ])
        #expect(await broker.waitUntil { $0.receivedPackets.count { $0.type == .subscribe } == 2 })
        let pub = try await runMosq(
            "bench", "pub", "-p", "\(broker.port)", "-t", "a", "-n", "100", "-s", "40", "-q", "1")
        #expect(pub.status == 0)
        let result = try await sub.result()
        #expect(result.status == 0)
        let figures = try figures(result)
        #expect(figures["messages"] == 200)
        #expect(figures["errors"] == 0)
        #expect((figures["latencyMs"]?["max"]?.number ?? 0) > 0)
        await broker.stop()
    }

    @Test func `an interrupt ends it with the figures so far`() async throws {
        let broker = try await ScriptedBroker.start()
        let pub = try MosqProcess([
            "bench", "pub", "-p", "\(broker.port)", "-t", "a", "-n", "100000", "--rate", "200", "--window", "10", "-q",
            "1",
            "--json",
        ])
        // With ten under way, one was acknowledged, and the client has read that.
        #expect(await broker.waitUntil { $0.publishCount > 10 })
        pub.send(SIGINT)
        let result = try await pub.result()
        #expect(result.status == 1)
        #expect(!result.wasKilled)
        let figures = try figures(result)
        let messages = Int(try #require(figures["messages"]?.number))
        #expect((1..<100_000).contains(messages))
        #expect(figures["errors"] == 0)
        #expect(result.errors == "Error: \(messages) of 100000 messages, interrupted.\n")
        await broker.stop()
    }

    @Test func `a subscriber that waits can be interrupted too`() async throws {
        let broker = try await ScriptedBroker.start()
        let sub = try MosqProcess(["bench", "sub", "-p", "\(broker.port)", "-t", "a", "-n", "10", "--json"])
        #expect(await broker.waitUntil { $0.receivedPackets.contains { $0.type == .subscribe } })
        sub.send(SIGTERM)
        let result = try await sub.result()
        #expect(result.status == 1)
        #expect(result.errors == "Error: 0 of 10 messages, interrupted.\n")
        #expect(try figures(result)["latencyMs"]?["p50"] == .null)
        await broker.stop()
    }

    @Test func `connect counts connections, over TLS too`() async throws {
        let authority = try TestCertificateAuthority()
        let folder = try TemporaryDirectory()
        let cafile = try folder.write(authority.certificatePEM, to: "ca.pem")
        let broker = try await ScriptedBroker.start(tls: try authority.serverIdentity())
        let result = try await runMosq(
            "bench", "connect", "-p", "\(broker.port)", "--cafile", cafile, "--clients", "100", "--json",
            "--connect-timeout", "60")
        #expect(result.status == 0)
        let figures = try figures(result)
        #expect(figures["messages"] == 100)
        #expect(figures["bytesPerSecond"] == 0)
        #expect(figures["errors"] == 0)
        #expect(await broker.waitUntil { $0.connects.count == 100 && $0.disconnects.count == 100 })
        await broker.stop()
    }

    @Test(arguments: [false, true])
    func `pub, sub and connect go over WebSockets too`(isSecure: Bool) async throws {
        let authority = try TestCertificateAuthority()
        let folder = try TemporaryDirectory()
        let cafile = try folder.write(authority.certificatePEM, to: "ca.pem")
        let broker = try await ScriptedBroker.start(
            tls: isSecure ? try authority.serverIdentity() : nil, webSocket: .init())
        let flags = isSecure ? ["--cafile", cafile, "--ws"] : []
        var way = isSecure ? ["-p", "\(broker.port)"] : ["-L", "ws://localhost:\(broker.port)/mqtt"]
        way += flags
        way.append("--json")
        let sub = try MosqProcess(["bench", "sub", "-t", "a", "-n", "200", "-q", "1", "--clients", "2"] + way)
        #expect(await broker.waitUntil { $0.receivedPackets.count { $0.type == .subscribe } == 2 })
        let pub = try await MosqProcess(["bench", "pub", "-t", "a", "-n", "100", "-s", "40", "-q", "1"] + way).result()
        #expect(pub.status == 0, "\(pub)")
        let received = try await sub.result()
        #expect(received.status == 0, "\(received)")
        #expect(try figures(received)["messages"] == 200)
        let connect = try await MosqProcess(["bench", "connect", "--clients", "20"] + way).result()
        #expect(connect.status == 0, "\(connect)")
        #expect(try figures(connect)["messages"] == 20)
        #expect(broker.upgrades.map(\.path) == [String](repeating: "/mqtt", count: 23))
        #expect(broker.errors == [])
        await broker.stop()
    }

    @Test(arguments: ["pub", "sub", "connect"])
    func `what could not be done is an error and status 1`(command: String) async throws {
        let topic = command == "connect" ? [] : ["-t", "a"]
        let process = try MosqProcess(["bench", command, "-p", "\(try freePort())", "--json"] + topic)
        let result = try await process.result()
        #expect(result.status == 1)
        #expect(try figures(result)["messages"] == 0)
        #expect(try figures(result)["errors"] == 1)
        #expect(result.errorLines.count == 1)
        #expect(result.errors.hasPrefix("Error: 0 of "))
        #expect(result.errors.contains("refused"))
    }

    @Test func `a connection that is lost is an error, and the rest is not published`() async throws {
        let broker = try await ScriptedBroker.start()
        let pub = try MosqProcess([
            "bench", "pub", "-p", "\(broker.port)", "-t", "a", "-n", "100000", "--rate", "200", "-q", "1", "--json",
        ])
        #expect(await broker.waitUntil { $0.publishCount > 10 })
        broker.dropAll()
        let result = try await pub.result()
        #expect(result.status == 1)
        #expect((try figures(result)["errors"]?.number ?? 0) >= 1)
        #expect(result.errorLines.count == 1)
        await broker.stop()
    }

    @Test(arguments: [
        (["pub"], "Error: A topic must be given with -t."),
        (["pub", "-t", "a/#"], "Error: Invalid publish topic 'a/#', does it contain '+' or '#'?"),
        (["pub", "-t", "a", "-n", "0"], "Error: -n 0 is not between 1 and 1000000000000."),
        (
            ["pub", "-t", "a", "-n", "9223372036854775807", "--clients", "2"],
            "Error: -n 9223372036854775807 is not between 1 and 1000000000000."
        ),
        (
            ["pub", "-t", "a", "--rate", "1e-20"],
            "Error: --rate 1e-20 is not between 0.000001 and 1000000000 a second."
        ),
        (["pub", "-t", "a", "-s", "-1"], "Error: -s -1 is not between 0 and 268435439 bytes."),
        (["pub", "-t", "a", "--window", "0"], "Error: --window 0 is not between 1 and 1000000."),
        (["pub", "-t", "a", "--rate", "0"], "Error: --rate 0.0 is not between 0.000001 and 1000000000 a second."),
        (["pub", "-t", "a", "-q", "3"], "Error: Invalid QoS given: 3"),
        (["sub"], "Error: A topic must be given with -t."),
        (["sub", "-t", "a", "--clients", "0"], "Error: --clients 0 is not between 1 and 1000000."),
        (["connect", "-p", "70000"], "Error: Invalid port given: 70000"),
    ])
    func `a bad argument is one line`(arguments: [String], line: String) async throws {
        let result = try await MosqProcess(["bench"] + arguments).result()
        #expect(result.status == 1)
        // Followed by where to find help, as with mosquitto's commands.
        let lines = result.errors.split(separator: "\n", omittingEmptySubsequences: true)
        #expect(lines.first.map(String.init) == line)
        #expect(lines.dropFirst().allSatisfy { $0.hasPrefix("Use 'mosq") })
        #expect(result.output == "")
    }
}

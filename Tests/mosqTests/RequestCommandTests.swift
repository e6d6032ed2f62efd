// SPDX-License-Identifier: Apache-2.0

import Foundation
import MosquittoTesting
import Testing
import Turns

@Suite("mosq rr", .turn(.command), .timeLimit(.minutes(1)))
struct RequestCommandTests {
    private func requested(_ broker: ScriptedBroker) async -> Bool { await broker.waitUntil { $0.publishCount >= 1 } }

    @Test(arguments: [["-m", "ask"], ["-f", "INPUT"], ["-s"], ["-n"]])
    func `it publishes a request, and prints the response`(source: [String]) async throws {
        let broker = try await ScriptedBroker.start()
        let folder = try TemporaryDirectory()
        let file = try folder.write("ask", to: "input")
        let arguments =
            ["rr", "-p", "\(broker.port)", "-t", "service", "-e", "answers/me", "-q", "1"]
            + source.map { $0 == "INPUT" ? file : $0 }
        let process = try MosqProcess(arguments, input: "ask")
        #expect(await requested(broker))
        let request = try #require(broker.publishes.first)
        #expect(request.topic == "service")
        #expect(request.payload == (source == ["-n"] ? [] : Array("ask".utf8)))
        // MQTT 5.0, section 3.3.2.3.5: the Response Topic.
        #expect(request.properties.first { $0.identifier == 0x08 }?.string == "answers/me")
        #expect(broker.connects.first?.protocolLevel == 5)
        broker.publish(topic: "answers/me", payload: "42")
        let result = try await process.result()
        #expect(result.status == 0)
        #expect(result.output == "42\n")
        #expect(result.errors == "")
        #expect(await broker.waitUntil { $0.disconnects == [0] })
        await broker.stop()
    }

    @Test func `with MQTT 3 1 1 there is no response topic in the request`() async throws {
        let broker = try await ScriptedBroker.start()
        let process = try MosqProcess(
            ["rr", "-p", "\(broker.port)", "-V", "mqttv311", "-t", "service", "-e", "answers", "-m", "ask", "-v"])
        #expect(await requested(broker))
        #expect(broker.connects.first?.protocolLevel == 4)
        #expect(broker.publishes.first?.properties.isEmpty == true)
        broker.publish(topic: "answers", payload: "42")
        #expect(try await process.result().output == "answers 42\n")
        await broker.stop()
    }

    @Test func `it has the properties that it is given, such as correlation data`() async throws {
        let broker = try await ScriptedBroker.start()
        let process = try MosqProcess(
            [
                "rr", "-p", "\(broker.port)", "-t", "service", "-e", "answers", "-m", "ask", "-D", "publish",
                "correlation-data", "one",
            ])
        #expect(await requested(broker))
        #expect(broker.publishes.first?.properties.first { $0.identifier == 0x09 }?.bytes == Array("one".utf8))
        broker.publish(topic: "answers", payload: "42")
        #expect(try await process.result().status == 0)
        await broker.stop()
    }

    @Test(arguments: ["5", "311"]) func `without a response in time the status is 27`(version: String) async throws {
        let broker = try await ScriptedBroker.start()
        let result = try await runMosq(
            "rr", "-p", "\(broker.port)", "-V", version, "-t", "service", "-e", "answers", "-m", "x", "-W", "3")
        #expect(result.status == 27)
        #expect(result.errors == "Timed out\n")
        #expect(result.output == "")
        await broker.stop()
    }

    @Test func `SIGALRM is the end of the time`() async throws {
        let broker = try await ScriptedBroker.start()
        let process = try MosqProcess(
            ["rr", "-p", "\(broker.port)", "-t", "service", "-e", "answers", "-m", "x"])
        #expect(await requested(broker))
        process.send(SIGALRM)
        let result = try await process.result()
        #expect(result.status == 27)
        // MQTT 5.0, section 3.14.2.1: with Will Message.
        #expect(await broker.waitUntil { $0.disconnects == [4] })
        await broker.stop()
    }

    @Test func `a refusal is the status`() async throws {
        let broker = try await ScriptedBroker.start(script: [.refuse(code: 0x84, close: true)])
        let result = try await runMosq("rr", "-p", "\(broker.port)", "-t", "a", "-e", "b", "-m", "x")
        #expect(result.status == 0x84)
        #expect(
            result.errors
                == "Connection error: Unsupported Protocol Version. mosquitto_rr only supports connecting to an MQTT v5 broker\n"
        )
        await broker.stop()
    }

    @Test func `a lost connection is status 7`() async throws {
        let broker = try await ScriptedBroker.start()
        let process = try MosqProcess(["rr", "-p", "\(broker.port)", "-t", "service", "-e", "answers", "-m", "x"])
        #expect(await requested(broker))
        broker.dropAll()
        let result = try await process.result()
        #expect(result.status == 7)
        #expect(result.errors == "Error: The connection was lost.\n")
        await broker.stop()
    }

    @Test(arguments: [["-t", "a", "-m", "x"], ["-t", "a", "-e", "b"], ["-e", "b", "-m", "x"]])
    func `it needs topic, message and response topic`(arguments: [String]) async throws {
        let result = try await MosqProcess(["rr"] + arguments).result()
        #expect(result.status == 1)
        #expect(
            result.errors
                == "Error: All of topic, message, and response topic must be supplied.\n\nUse 'mosq rr --help' to see usage.\n"
        )
    }

    @Test(arguments: [
        (["-t", "a/#", "-e", "b"], "Error: Invalid publish topic 'a/#', does it contain '+' or '#'?"),
        (["-t", "a", "-e", "b/+"], "Error: Invalid response topic 'b/+', does it contain '+' or '#'?"),
        (
            ["-t", "a", "-e", "b", "-D", "publish", "response-topic", "c"],
            "Error in PUBLISH properties: Duplicate response topic."
        ), (["-t", "a", "-e", "b", "-l"], "Error: Unknown option '-l'."),
    ])
    func `a mistake is told`(arguments: [String], text: String) async throws {
        let result = try await MosqProcess(["rr", "-m", "x"] + arguments).result()
        #expect(result.status == 1)
        #expect(result.errorLines.first == Substring(text))
    }
}

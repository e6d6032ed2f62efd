// SPDX-License-Identifier: Apache-2.0

import MosquittoTesting
import Testing
import Turns

@testable import mosq

@Suite("Names of the command", .turn(.command), .timeLimit(.minutes(1)))
struct InvocationTests {
    @Test(arguments: [
        (["mosq", "pub", "-d"], ReferenceCommand.pub, "mosq pub"),
        (["/usr/bin/mosquitto_sub", "-d"], .sub, "mosquitto_sub"), (["mosquitto_rr", "pub"], .rr, "mosquitto_rr"),
    ])
    func `a link is the command of its name`(arguments: [String], command: ReferenceCommand, name: String) {
        let invocation = Invocation(arguments)
        #expect(invocation.command == command)
        #expect(invocation.name == name)
        #expect(invocation.isLink == name.hasPrefix("mosquitto_"))
    }

    @Test(arguments: [["mosq"], ["mosq", "demo", "--broker", "x"], ["mosq", "--help"], ["mosq", "-d"]])
    func `others are left to the argument parser`(arguments: [String]) throws {
        let invocation = Invocation(arguments)
        #expect(invocation.command == nil)
        guard case .run(Array(arguments.dropFirst())) = try invocation.arguments(file: { _ in nil }) else {
            Issue.record("changed")
            return
        }
    }

    @Test func `a link publishes, and speaks of itself as mosquitto's command`() async throws {
        let broker = try await ScriptedBroker.start()
        let arguments = ["-p", "\(broker.port)", "-t", "a", "-m", "x", "-q", "1"]
        #expect(try await MosqProcess(arguments, link: "mosquitto_pub").result().status == 0)
        #expect(broker.publishes.map(\.topic) == ["a"])
        await broker.stop()
        let wrong = try await MosqProcess(["--nonsense"], link: "mosquitto_pub").result()
        #expect(wrong.status == 1)
        #expect(wrong.errors == "Error: Unknown option '--nonsense'.\n\nUse 'mosquitto_pub --help' to see usage.\n")
    }

    @Test(arguments: ["mosquitto_pub", "mosquitto_sub", "mosquitto_rr"])
    func `it shows its help and version with the status of mosquitto's command`(link: String) async throws {
        let help = try await MosqProcess(["-d", "--help", "--nonsense"], link: link).result()
        #expect(help.status == 1)
        #expect(help.output.contains("USAGE: \(link)"))
        #expect(help.errors == "")
        let version = try await MosqProcess(["--version"], link: link).result()
        #expect(version.status == 1)
        #expect(version.output.hasPrefix("\(link) version 2.0.11"))
        #expect(version.output.contains("running on libmosquitto"))
    }

    @Test(arguments: ["pub", "sub", "rr", "doctor", "health", "bench", "bench pub", "demo"])
    func `a subcommand shows its own help and the version`(command: String) async throws {
        let words = command.split(separator: " ").map(String.init)
        let help = try await MosqProcess(words + ["--help"]).result()
        #expect(help.status == 0)
        #expect(help.output.contains("USAGE: mosq \(command)"))
        let version = try await MosqProcess(words + ["--version"]).result()
        #expect(version.status == 0)
        #expect(version.output.contains("mosq \(Mosq.number)") && version.output.contains("on libmosquitto "))
    }
}

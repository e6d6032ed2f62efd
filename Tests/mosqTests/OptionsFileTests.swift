// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import MosquittoTesting
import Testing
import Turns

@testable import mosq

@Suite("Options files", .turn(.command))
struct OptionsFileTests {
    private func lines(_ text: String) throws -> [[String]] { try OptionsFile(content: Array(text.utf8)).lines }

    @Test func `a line is an option and its value, which may have spaces`() throws {
        #expect(
            try lines("-h broker\n--qos 1\r\n-d\n-m two  words \n\n#-u no\n -p 1\n-u last") == [
                ["-h", "broker"], ["--qos", "1"], ["-d"], ["-m", "two  words "], ["-p", "1"], ["-u", "last"],
            ])
    }

    @Test func `only a line that begins with it is a comment`() throws {
        #expect(try lines(" #-d\n-m #\n#\n") == [["#-d"], ["-m", "#"]])
    }

    @Test func `a value of nothing is none`() throws {
        #expect(try lines("-m \n-m  x\n") == [["-m"], ["-m", " x"]])
    }

    /// A token of RS256 has more than the 1,023 bytes that mosquitto's commands read.
    @Test func `a line is read to its end`() throws {
        let value = String(repeating: "x", count: 5_000)
        #expect(try lines("-P \(value)\n-d\n") == [["-P", value], ["-d"]])
    }

    @Test(arguments: [
        "SECRETtoken", "-SECRETtoken", "--SECRET", "-P SECRET\nSECRET rest", "-p SECRET", "-q  SECRET x",
        "-D publish SECRET x", "--psk", "-L SECRET://a", "-k SECRET",
    ])
    func `a complaint shows nothing of it`(text: String) throws {
        let invocation = Invocation(["mosq", "pub", "-t", "t", "-m", "x"])
        let failure = #expect(throws: CommandFailure.self) {
            try invocation.arguments(file: { _ in try OptionsFile(content: Array(text.utf8)) })
        }
        #expect(failure?.lines.contains { $0.contains("SECRET") } == false, "\(failure?.lines ?? [])")
    }

    @Test func `what is not UTF-8 is refused, except for a payload and a password`() throws {
        #expect(
            try OptionsFile(content: Array("-m ".utf8) + [0xFF, 0x20, 0x0A]).lines == [["--message-hex", "ff20"]])
        #expect(throws: CommandFailure.self) { try OptionsFile(content: Array("-t ".utf8) + [0xFF, 0x0A]) }
        #expect(try ArgumentEncoding.words([Array("-m".utf8), Array("é".utf8)]) == ["-m", "é"])
        #expect(try ArgumentEncoding.words([Array("--pw".utf8), [0xFF, 0x01]]) == ["--pw-hex", "ff01"])
        #expect(try ArgumentEncoding.bytes("ff01") == [0xFF, 0x01])
        for wrong in ["f", "0g", "é0"] { #expect(throws: CommandFailure.self) { try ArgumentEncoding.bytes(wrong) } }
        let topic = #expect(throws: CommandFailure.self) { try ArgumentEncoding.words([Array("-t".utf8), [0xC3]]) }
        #expect(topic?.lines == ["Error: Malformed UTF-8 in -t argument."])
    }

    @Test func `it is looked for in the user's configuration`() throws {
        let folder = try TemporaryDirectory()
        _ = try folder.write("-h one\n", to: "mosquitto_sub")
        let xdg = ["XDG_CONFIG_HOME": folder.path, "HOME": "/nonexistent"]
        #expect(try OptionsFile(of: .sub, environment: xdg)?.lines == [["-h", "one"]])
        #expect(try OptionsFile(of: .pub, environment: xdg) == nil)
        #expect(try OptionsFile(of: .sub, environment: ["HOME": folder.path]) == nil)
        #expect(try OptionsFile(of: .sub, environment: [:]) == nil)
    }

    @Test func `the command line counts more`() throws {
        let invocation = Invocation(["/usr/bin/mosq", "pub", "-h", "mine", "-t", "t"])
        guard
            case .run(let words) = try invocation.arguments(file: { _ in
                try OptionsFile(content: Array("-h theirs\n-q 2\n".utf8))
            })
        else {
            Issue.record("not run")
            return
        }
        #expect(words == ["pub", "-h", "theirs", "-q", "2", "-h", "mine", "-t", "t"])
        let connection = try Pub.read(Array(words.dropFirst())).connection
        #expect(connection.host == "mine")
        #expect(connection.qos == 2)
    }

    @Test func `another file takes its place`() throws {
        let folder = try TemporaryDirectory()
        let path = try folder.write("-q 1\n", to: "other")
        let invocation = Invocation(["mosq", "sub", "-m", "-o", "-o", path, "-t", "-o"])
        // -m is no flag of a subscriber, and has no value.
        #expect(throws: CommandFailure.self) { try invocation.arguments(file: { _ in nil }) }
        let other = Invocation(["mosq", "pub", "-m", "-o", "-o", path, "-t", "-o"])
        guard
            case .run(let words) = try other.arguments(file: { _ in try OptionsFile(content: Array("-q 2\n".utf8)) })
        else {
            Issue.record("not run")
            return
        }
        #expect(words == ["pub", "-q", "1", "-m", "-o", "-t", "-o"])
        #expect(throws: CommandFailure.self) {
            try Invocation(["mosq", "pub", "-o", "/nonexistent"]).arguments(file: { _ in nil })
        }
    }

    @Test func `a file with an error ends the command`() async throws {
        let result = try await MosqProcess(["pub", "-t", "a", "-m", "x"], options: "--nonsense\n").result()
        #expect(result.status == 1)
        #expect(result.errors.hasPrefix("Error: Unknown option '--nonsense'"))
    }

    @Test(.timeLimit(.minutes(1))) func `a command takes host, port and message from it`() async throws {
        let broker = try await ScriptedBroker.start()
        let options = "# mine\n-h 127.0.0.1\n-p \(broker.port)\n-t from/file\n-m two words\n-q 1\n"
        #expect(try await MosqProcess(["pub"], options: options).result().status == 0)
        #expect(broker.publishes.map(\.topic) == ["from/file"])
        #expect(broker.publishes.map(\.payload) == [Array("two words".utf8)])
        await broker.stop()
    }
}

// SPDX-License-Identifier: Apache-2.0

import Foundation
import MosquittoTesting
import Testing
import Turns

/// `-d`, beside mosquitto's own commands where they are installed.
@Suite("Debug output", .turn(.command), .timeLimit(.minutes(1)))
struct DebugOutputTests {
    private static let reference = "/usr/bin/mosquitto_pub"

    /// The lines, with the client identifiers of both the same: mosquitto's commands leave theirs to the broker.
    private func lines(_ output: String) -> [String] {
        output.split(separator: "\n").map { line in
            let words = line.split(separator: " ", maxSplits: 2, omittingEmptySubsequences: false)
            return words.first == "Client" && words.count == 3 ? "Client ID \(words[2])" : String(line)
        }
    }

    @Test(arguments: [
        ["-q", "0"], ["-q", "1"], ["-q", "2"], ["-q", "1", "-V", "5"], ["-q", "2", "-V", "5", "--repeat", "2"],
    ])
    func `pub prints what mosquitto_pub prints`(arguments: [String]) async throws {
        guard FileManager.default.isExecutableFile(atPath: Self.reference) else { return }
        let broker = try await LocalMosquitto.start()
        let all = ["-p", "\(broker.port)", "-i", "me", "-t", "a/b", "-m", "text", "-d"] + arguments
        let mine = try await MosqProcess(["pub"] + all).result()
        let theirs = try await MosqProcess(all, executable: Self.reference).result()
        #expect(mine.status == theirs.status)
        #expect(mine.errors == theirs.errors)
        #expect(lines(mine.output) == lines(theirs.output))
    }

    @Test(arguments: [["-V", "311"], ["-V", "5"]])
    func `sub prints what mosquitto_sub prints`(arguments: [String]) async throws {
        guard FileManager.default.isExecutableFile(atPath: "/usr/bin/mosquitto_sub") else { return }
        let broker = try await LocalMosquitto.start()
        let connection = ["-p", "\(broker.port)", "-q", "1"]
        #expect(try await MosqProcess(["pub", "-t", "a/b", "-m", "kept", "-r"] + connection).result().status == 0)
        let all = connection + ["-i", "me", "-t", "a/+", "-C", "1", "-d"] + arguments
        let mine = try await MosqProcess(["sub"] + all).result()
        let theirs = try await MosqProcess(all, executable: "/usr/bin/mosquitto_sub").result()
        #expect(mine.status == theirs.status)
        // A retained message that comes with the acknowledgement may be before this line: another thread prints it.
        let granted = "Subscribed (mid: 1): 1"
        #expect(lines(mine.output).contains(granted))
        #expect(lines(mine.output).filter { $0 != granted } == lines(theirs.output).filter { $0 != granted })
    }

    @Test func `without it there is nothing`() async throws {
        let broker = try await ScriptedBroker.start()
        let result = try await runMosq("pub", "-p", "\(broker.port)", "-t", "a", "-m", "x")
        #expect(result.output == "")
        await broker.stop()
    }
}

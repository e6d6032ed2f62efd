// SPDX-License-Identifier: Apache-2.0

import Foundation
import MosquittoTesting
import Testing
import Turns

@Suite("mosq --health-file, and mosq health", .turn(.command), .timeLimit(.minutes(3)))
struct HealthCommandTests {
    private static let quick = ["--retry", "--retry-base-delay", "0.05", "--retry-max-delay", "0.2"]

    private func probe(_ file: String, _ arguments: String...) async throws -> MosqResult {
        try await MosqProcess(["health", file] + arguments).result()
    }

    /// Waits for a probe with this status, and returns its line.
    private func probe(_ file: String, _ arguments: String..., until status: Int32) async throws -> String {
        var line = ""
        let isSeen = try await eventually(timeout: .seconds(40)) {
            let result = try await MosqProcess(["health", file] + arguments).result()
            line = result.output
            return result.status == status
        }
        #expect(isSeen, "the last line was: \(line)")
        return line
    }

    @Test func `a subscriber is alive without a broker, ready with one, and leaves no file`() async throws {
        let folder = try TemporaryDirectory()
        let file = "\(folder.path)/health"
        let port = try freePort()
        let sub = try MosqProcess(["sub", "-p", "\(port)", "-t", "a", "--health-file", file] + Self.quick)
        let alive = try await probe(file, until: 0)
        #expect(alive.hasPrefix("alive: "))
        let waiting = try await probe(file, "--ready", until: 3)
        #expect(waiting.hasPrefix("not ready: not connected yet"))
        #expect(try await eventually { try await probe(file, "--ready").output.contains("connection refused") })
        // An outage is counted from the first connection on.
        #expect(try await probe(file, "--ready", "--max-outage", "1000").status == 3)

        let broker = try await ScriptedBroker.start(port: port)
        #expect(try await probe(file, "--ready", until: 0).hasPrefix("ready: connected for "))
        await broker.stop()
        #expect(try await probe(file, "--ready", until: 3).contains("no connection for"))
        #expect(try await probe(file, "--ready", "--max-outage", "1000").status == 0)
        #expect(try await probe(file).status == 0)

        sub.send(SIGTERM)
        _ = try await sub.result()
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == [])
        let gone = try await probe(file)
        #expect(gone.status == 2)
        #expect(gone.output.hasPrefix("not alive: \(file) cannot be opened"))
        #expect(gone.errors == "")
    }

    @Test func `a process that hangs, or was killed, leaves a file that grows old`() async throws {
        let folder = try TemporaryDirectory()
        let file = "\(folder.path)/health"
        let broker = try await ScriptedBroker.start()
        let sub = try MosqProcess(["sub", "-p", "\(broker.port)", "-t", "a", "--health-file", file])
        _ = try await probe(file, "--max-age", "5", until: 0)
        sub.send(SIGSTOP)
        let line = try await probe(file, "--max-age", "5", until: 2)
        #expect(line.contains("more than 5.0 s"))
        sub.send(SIGCONT)
        _ = try await probe(file, "--max-age", "5", until: 0)
        sub.send(SIGKILL)
        #expect(try await sub.result().wasKilled)
        _ = try await probe(file, "--max-age", "0.5", until: 2)
        await broker.stop()
    }

    @Test(arguments: [SIGTERM, SIGINT])
    func `a publisher that a signal kills takes its file with it`(signal: Int32) async throws {
        let folder = try TemporaryDirectory()
        let file = "\(folder.path)/health"
        let broker = try await ScriptedBroker.start()
        let arguments = ["pub", "-p", "\(broker.port)", "-t", "a", "-l", "--health-file", file]
        let pub = try MosqProcess(arguments, input: nil)
        _ = try await probe(file, "--ready", until: 0)
        pub.send(signal)
        let result = try await pub.result()
        // As without the flag, and as mosquitto_pub.
        #expect(result.wasKilled && result.status == signal)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == [])
        await broker.stop()
    }

    @Test func `a publisher that is done leaves no file, and one that fails neither`() async throws {
        let folder = try TemporaryDirectory()
        let file = "\(folder.path)/health"
        let broker = try await ScriptedBroker.start()
        let done = try await runMosq(
            "pub", "-p", "\(broker.port)", "-t", "a", "-m", "x", "-q", "1", "--health-file", file)
        #expect(done.status == 0)
        await broker.stop()
        let failed = try await runMosq("pub", "-p", "\(broker.port)", "-t", "a", "-m", "x", "--health-file", file)
        #expect(failed.status == 1)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == [])
    }

    @Test func `a file that cannot be written ends a command before it connects`() async throws {
        let broker = try await ScriptedBroker.start()
        let result = try await runMosq(
            "pub", "-p", "\(broker.port)", "-t", "a", "-m", "x", "--health-file", "/does/not/exist")
        #expect(result.status == 1)
        #expect(
            result.errors == "Error: --health-file /does/not/exist cannot be written: No such file or directory.\n")
        #expect(broker.connects.isEmpty)
        await broker.stop()
    }

    @Test func `what is no health file is not alive`() async throws {
        let folder = try TemporaryDirectory()
        let file = try folder.write("{}", to: "file")
        let result = try await probe(file)
        #expect(result.status == 2)
        #expect(result.output == "not alive: \(file) is not a health file\n")
        #expect(try await probe(folder.path).status == 2)
    }

    @Test func `wrong arguments are reported as by the other commands`() async throws {
        let result = try await probe("/dev/null", "--max-outage", "3")
        #expect(result.status == 1)
        #expect(result.errors == "Error: --max-outage needs --ready.\n")
        #expect(try await probe("/dev/null", "--max-age", "0").status == 1)
        #expect(try await runMosq("health").status == 1)
    }
}

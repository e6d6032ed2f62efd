// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
import Foundation
import MosquittoTesting
import Testing
import Turns

/// The measurements of `scripts/soak`, in a short form and in their own process, so that the memory of other tests is
/// not counted.
@Suite("Many clients in one process", .turn(.brokers))
struct ManyClientsTests {
    @Test func `300 idle TLS clients take little memory and no threads`() async throws {
        // A debug build has the objects of a release build, but larger asynchronous frames. Sessions of OpenSSL 3.5 are
        // larger.
        let run = try await soak([
            "clients", "--clients", "300", "--beyond", "50", "--keep-alive", "10", "--seconds", "1", "--most-kb",
            OpenSSLVersion.isAtLeast(3, 5) ? "100" : "90", "--most-percent", "50",
        ])
        #expect(run.exit == .status(0), "\(run.output)")
    }

    @Test func `a broker that is stopped for 2 s loses nothing`() async throws {
        let run = try await soak([
            "stopped", "--once", "--seconds", "2", "--tasks", "400", "--most-latency", "500",
        ])
        #expect(run.exit == .status(0), "\(run.output)")
    }

    private func soak(_ arguments: [String]) async throws -> (exit: ChildProcess.Exit, output: String) {
        let directory = try TemporaryDirectory()
        let log = directory.path + "/output"
        let program = URL(filePath: CommandLine.arguments[0]).deletingLastPathComponent().appending(path: "Soak")
        let process = try ChildProcess(executable: program.path, arguments: arguments, .init(output: log))
        let exit = await process.exit(deadline: .seconds(300))
        return (exit, try String(contentsOfFile: log, encoding: .utf8))
    }
}
#endif

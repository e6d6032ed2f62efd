// SPDX-License-Identifier: Apache-2.0

import MosquittoTesting
import Testing
import Turns

#if os(Linux)
import FoundationEssentials
import Glibc

@Suite("Child processes do not outlive the process that started them", .turn(.tools), .timeLimit(.minutes(1)))
struct ChildProcessTests {
    @Test func `after SIGKILL`() async throws {
        let folder = try TemporaryDirectory()
        let path = folder.path
        await #expect(processExitsWith: .signal(SIGKILL)) { [path = path as String] in
            let child = try Self.sleeper(path)
            kill(getpid(), SIGKILL)
            withExtendedLifetime(child) {}
        }
        try await expectEnd(path)
    }

    @Test func `after a trap`() async throws {
        let folder = try TemporaryDirectory()
        let path = folder.path
        await #expect(processExitsWith: .failure) { [path = path as String] in
            let child = try Self.sleeper(path)
            withExtendedLifetime(child) { fatalError("on purpose") }
        }
        try await expectEnd(path)
    }

    @Test func `after exit`() async throws {
        let folder = try TemporaryDirectory()
        let path = folder.path
        await #expect(processExitsWith: .exitCode(3)) { [path = path as String] in
            let child = try Self.sleeper(path)
            withExtendedLifetime(child) { exit(3) }
        }
        try await expectEnd(path)
    }

    /// Starts a process that lives for an hour, and writes its identifier into a file.
    private static func sleeper(_ folder: String) throws -> ChildProcess {
        let ended = try ChildProcess(executable: "/bin/true", arguments: [], .init(output: "/dev/null"))
        ended.kill()
        let child = try ChildProcess(executable: "/bin/sleep", arguments: ["3600"], .init(output: "/dev/null"))
        try "\(child.pid)".write(toFile: "\(folder)/pid", atomically: true, encoding: .utf8)
        return child
    }

    private func expectEnd(_ folder: String) async throws {
        let text = try String(contentsOfFile: "\(folder)/pid", encoding: .utf8)
        // A process whose parent is gone may stay as a zombie, without a command line.
        let hasEnded = await eventually {
            (try? Data(contentsOf: URL(filePath: "/proc/\(text)/cmdline")))?.isEmpty ?? true
        }
        #expect(hasEnded)
    }
}
#endif

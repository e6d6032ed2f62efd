// SPDX-License-Identifier: Apache-2.0

import Foundation
import MosquittoTesting
import Testing
import Turns

@testable import mosq

#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// A FIFO in the place of a file blocks each open(2) that has no `O_NONBLOCK`, like a file system that does not answer.
@Suite("A FIFO in the place of a file (security 12)", .turn(.command), .timeLimit(.minutes(2)))
struct UnreadableFileTests {
    private func fifo(_ folder: TemporaryDirectory, _ name: String) -> String {
        let path = folder.path + "/" + name
        unlink(path)
        #expect(mkfifo(path, 0o600) == 0)
        return path
    }

    /// More attempts than a small machine has threads: SIGINT then still ends the command.
    @Test func `of a token is retried, and SIGINT ends the command`() async throws {
        let folder = try TemporaryDirectory()
        let broker = try await ScriptedBroker.start()
        let process = try MosqProcess([
            "sub", "--retry", "--events", "-h", "localhost", "-p", "\(broker.port)", "-t", "t", "-u", "me",
            "--token-file", fifo(folder, "token"), "--retry-base-delay", "0.02", "--retry-max-delay", "0.04",
        ])
        for attempt in 1...6 {
            let hasFailed = try await process.waitForEvent("attemptFailed") {
                $0["attempt"] == .number(Double(attempt))
            }
            #expect(hasFailed, "attempt \(attempt)")
        }
        process.send(SIGINT)
        let result = try await process.result()
        #expect(!result.wasKilled)
        #expect(result.errors.contains("is not a regular file"))
        #expect(broker.connects.isEmpty)
        await broker.stop()
    }

    @Test(arguments: ["--cafile", "--key"])
    func `of an authority or a key ends the command with an error`(flag: String) async throws {
        let folder = try TemporaryDirectory()
        let authority = try TestCertificateAuthority()
        let identity = try authority.clientIdentity(commonName: "dev1")
        var files = [
            "--cafile": try folder.write(authority.certificatePEM, to: "ca.pem"),
            "--cert": try folder.write(identity.certificatePEM, to: "client.pem"),
            "--key": try folder.write(identity.privateKeyPEM, to: "client.key"),
        ]
        files[flag] = fifo(folder, "fifo")
        let process = try MosqProcess(
            ["sub", "-h", "localhost", "-p", "\(try freePort())", "-t", "t"] + files.flatMap { [$0.key, $0.value] })
        let result = try await process.result()
        #expect(!result.wasKilled && result.status != 0)
        #expect(result.errors.contains("is not a regular file"), "\(result.errors)")
    }
}

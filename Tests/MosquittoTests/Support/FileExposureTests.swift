// SPDX-License-Identifier: Apache-2.0

import Logging
import MosquittoTesting
import Synchronization
import Testing
import Turns

@testable import Mosquitto

#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Keeps the warnings of the reader.
private struct Warnings: LogHandler {
    let lines: Lines
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.trace

    final class Lines: Sendable {
        private let lines = Mutex<[String]>([])
        var all: [String] { lines.withLock { $0 } }
        func append(_ line: String) { lines.withLock { $0.append(line) } }
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let mode = event.metadata?["file.mode"].map { "\($0)" } ?? "none"
        lines.append("\(event.level) \(event.message): \(mode)")
    }
}

@Suite("Files with a secret that every user can read or change (issue 18)", .turn(.units), .timeLimit(.minutes(1)))
struct FileExposureTests {
    private let folder: TemporaryDirectory

    init() throws {
        folder = try TemporaryDirectory()
        #expect(chmod(folder.path, 0o755) == 0)
    }

    /// Reads the file several times, and returns the warnings.
    private func warnings(
        _ path: String,
        read: (String) async throws -> Void = { _ = try await FileReader.shared.readSecret($0, limit: 9) }
    ) async throws -> [String] {
        let lines = Warnings.Lines()
        let logger = Logger(label: "test") { _ in Warnings(lines: lines) }
        try await SecretFileWarnings.$logger.withValue(logger) { for _ in 0..<3 { try await read(path) } }
        return lines.all
    }

    private func file(_ mode: mode_t) throws -> String {
        let path = try folder.write("secret", to: "mode\(mode)")
        #expect(chmod(path, mode) == 0)
        return path
    }

    @Test(
        arguments: [
            (0o644, "read"), (0o604, "read"), (0o444, "read"), (0o602, "changed"), (0o666, "read and changed"),
        ] as [(mode_t, String)])
    func `are a warning, once for each path`(mode: mode_t, access: String) async throws {
        let text =
            "warning a file with a secret can be \(access) by every user of this machine; remove that permission "
            + "(chmod o-rwx): 0\(String(mode, radix: 8))"
        #expect(try await warnings(file(mode)) == [text])
    }

    /// Kubernetes gives files to a group (`fsGroup`), and so does Debian (`ssl-cert`).
    @Test(arguments: [0o600, 0o400, 0o640, 0o440, 0o660, 0o601] as [mode_t])
    func `are not those that are meant for a group`(mode: mode_t) async throws {
        #expect(try await warnings(file(mode)) == [])
    }

    @Test func `are not those in a folder that others cannot enter`() async throws {
        let path = try file(0o644)
        #expect(chmod(folder.path, 0o700) == 0)
        #expect(try await warnings(path) == [])
        #expect(chmod(folder.path, 0o701) == 0)
        #expect(try await warnings(path).count == 1)
    }

    /// A mounted secret of Kubernetes is such a link. The folder that counts is that of the file.
    @Test func `are found through links`() async throws {
        let closed = try TemporaryDirectory()
        let link = closed.path + "/token"
        #expect(symlink(try file(0o644), link) == 0)
        #expect(try await warnings(link).count == 1)
        let hidden = try closed.write("secret", to: "hidden")
        #expect(chmod(hidden, 0o644) == 0)
        let open = folder.path + "/open"
        #expect(symlink(hidden, open) == 0)
        #expect(try await warnings(open) == [])
    }

    @Test func `are not those without a secret`() async throws {
        let path = try file(0o644)
        #expect(try await warnings(path) { _ = try await FileReader.shared.read($0, limit: 9) } == [])
    }

    @Test func `are told to the client that reads them, not to one without a log`() async throws {
        let path = try file(0o644)
        _ = try await FileReader.shared.readSecret(path, limit: 9)
        #expect(try await warnings(path).count == 1)
    }
}

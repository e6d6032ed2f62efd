// SPDX-License-Identifier: Apache-2.0

import Foundation
import Synchronization
import Testing

@testable import MosquittoTesting

/// A server that a script in `Tests/Brokers` has started: a separate process with its own port and folder, which ends
/// with the last reference.
final class RealServer: Sendable {
    struct DidNotStart: Error, CustomStringConvertible {
        var name: String
        var log: String

        var description: String { "\(name) did not start; `scripts/setup --brokers` installs it. Its log:\n\(log)" }
    }

    /// The ports by their names: "port", and what else the script writes.
    let ports: [String: Int]
    /// The issuer of the server's certificate for "localhost".
    let authority: TestCertificateAuthority

    private let name: String
    private let directory: TemporaryDirectory
    private let process: Mutex<ChildProcess>

    var port: Int { ports["port"] ?? 0 }

    /// Starts a server and waits until it answers on its ports.
    ///
    /// - Parameters:
    ///   - name: The folder in `Tests/Brokers`.
    ///   - files: The files that its script reads from its folder, beside the certificates.
    static func start(_ name: String, files: [String: String]) async throws -> RealServer {
        let authority = try TestCertificateAuthority()
        let identity = try authority.serverIdentity()
        let directory = try TemporaryDirectory()
        try directory.write(authority.certificatePEM, to: "ca.pem")
        try directory.write(identity.certificatePEM, to: "server.pem")
        try directory.write(identity.privateKeyPEM, to: "server.key")
        for (name, text) in files { try directory.write(text, to: name) }
        let (process, ports) = try await launch(name, in: directory)
        return RealServer(name, ports, authority, directory, process)
    }

    private init(
        _ name: String, _ ports: [String: Int], _ authority: TestCertificateAuthority, _ directory: TemporaryDirectory,
        _ process: ChildProcess
    ) {
        self.name = name
        self.ports = ports
        self.authority = authority
        self.directory = directory
        self.process = Mutex(process)
    }

    deinit { stop() }

    /// Kills the server and starts it again, with the same files. Only scripts with `keep_ports` have the same ports.
    func restart() async throws {
        process.withLock { $0 }.kill()
        let (process, ports) = try await Self.launch(name, in: directory)
        self.process.withLock { $0 = process }
        #expect(ports == self.ports)
    }

    /// Kills the server and removes its folder, even if references remain: the process of the tests may end before they
    /// do.
    func stop() {
        process.withLock { $0 }.kill()
        try? FileManager.default.removeItem(atPath: directory.path)
    }

    private static func launch(
        _ name: String, in directory: TemporaryDirectory
    ) async throws -> (ChildProcess, ports: [String: Int]) {
        let ready = directory.path + "/ready"
        try? FileManager.default.removeItem(atPath: ready)
        let log = directory.path + "/start.log"
        var setup = ChildProcess.Setup(output: log)
        setup.environment = ProcessInfo.processInfo.environment
        // No script needs more.
        setup.environment?["PORTS"] = try (0..<4).map { _ in "\(try freePort())" }.joined(separator: " ")
        let process = try ChildProcess(executable: script(of: name), arguments: [directory.path], setup)
        // RabbitMQ takes five seconds, and three times that while something else keeps the cores busy.
        _ = await eventually(timeout: .seconds(90), pollEvery: .milliseconds(20)) {
            !process.isRunning || FileManager.default.fileExists(atPath: ready)
        }
        let lines = (try? String(contentsOfFile: ready, encoding: .utf8)) ?? ""
        var ports: [String: Int] = [:]
        for line in lines.split(separator: "\n") {
            let words = line.split(separator: "=")
            if words.count == 2, let port = Int(words[1]) { ports[String(words[0])] = port }
        }
        guard process.isRunning, ports["port"] != nil else {
            process.kill()
            throw DidNotStart(name: name, log: (try? String(contentsOfFile: log, encoding: .utf8)) ?? "")
        }
        return (process, ports)
    }

    /// The path of a file that the script has made in its folder.
    func path(_ name: String) -> String { "\(directory.path)/\(name)" }

    private static func script(of name: String) -> String {
        let tests = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        return tests.appending(path: "Brokers/\(name)/start").path
    }
}

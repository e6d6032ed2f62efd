// SPDX-License-Identifier: Apache-2.0

import Foundation

@testable import MosquittoTesting

/// A server that a script in `Tests/Brokers` has started: a separate process with its own port and folder, which ends
/// with the last reference.
final class RealServer: Sendable {
    struct DidNotStart: Error, CustomStringConvertible {
        var name: String
        var log: String

        var description: String { "\(name) did not start; `scripts/setup --brokers` installs it. Its log:\n\(log)" }
    }

    let port: Int
    /// The issuer of the server's certificate for "localhost".
    let authority: TestCertificateAuthority

    private let directory: TemporaryDirectory
    private let process: ChildProcess

    /// Starts a server and waits until TLS answers on its port.
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

        let log = directory.path + "/start.log"
        let process = try ChildProcess(executable: script(of: name), arguments: [directory.path], log: log)
        let ready = directory.path + "/ready"
        // RabbitMQ takes five seconds, and three times that while something else keeps the cores busy.
        _ = await eventually(timeout: .seconds(90), pollEvery: .milliseconds(20)) {
            !process.isRunning || FileManager.default.fileExists(atPath: ready)
        }
        let lines = (try? String(contentsOfFile: ready, encoding: .utf8)) ?? ""
        guard process.isRunning, let port = Int(lines.trimmingPrefix("port=").prefix(while: \.isNumber)) else {
            process.kill()
            throw DidNotStart(name: name, log: (try? String(contentsOfFile: log, encoding: .utf8)) ?? "")
        }
        return RealServer(port: port, authority, directory, process)
    }

    private init(
        port: Int, _ authority: TestCertificateAuthority, _ directory: TemporaryDirectory, _ process: ChildProcess
    ) {
        self.port = port
        self.authority = authority
        self.directory = directory
        self.process = process
    }

    deinit { stop() }

    /// Kills the server and removes its folder, even if references remain: the process of the tests may end before they
    /// do.
    func stop() {
        process.kill()
        try? FileManager.default.removeItem(atPath: directory.path)
    }

    private static func script(of name: String) -> String {
        let tests = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        return tests.appending(path: "Brokers/\(name)/start").path
    }
}

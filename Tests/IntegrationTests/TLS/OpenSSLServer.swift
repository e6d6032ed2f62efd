// SPDX-License-Identifier: Apache-2.0

import Foundation
import Synchronization

@testable import MosquittoTesting

/// `openssl s_server`, which answers each CONNECT with a CONNACK: a separate process on a port that the system chose.
/// The process ends with the last reference.
final class OpenSSLServer: Sendable {
    struct DidNotStart: Error, CustomStringConvertible {
        var log: String
        var description: String { "openssl s_server did not start:\n\(log)" }
    }

    let port: Int

    private let directory: TemporaryDirectory
    private let process: ChildProcess
    private let input: Int32
    private let answers = Mutex<Task<Void, Never>?>(nil)

    /// Starts a server and waits until it listens.
    ///
    /// - Parameters:
    ///   - arguments: The arguments of `openssl s_server`, separated by spaces; its files are those of `certificates`.
    static func start(_ arguments: String, _ certificates: Certificates) async throws -> OpenSSLServer {
        let directory = try TemporaryDirectory()
        let pipe = directory.path + "/input"
        guard mkfifo(pipe, 0o600) == 0 else { throw MosquittoTestingError.systemCall("mkfifo", errno: errno) }
        // Both ends of the pipe are opened by both sides: neither sees the end of it, nor SIGPIPE.
        let process = try ChildProcess(
            executable: "/usr/bin/env",
            arguments: [
                "bash", "-c", #"cd "$1" && exec openssl s_server "${@:3}" 0<>"$2""#, "s_server",
                certificates.directory.path, pipe, "-accept", "127.0.0.1:0",
            ] + arguments.split(separator: " ").map(String.init),
            log: directory.path + "/output")
        var port: Int?
        _ = await eventually {
            let text = output(in: directory)
            port = text.firstMatch(of: /ACCEPT 127\.0\.0\.1:([0-9]+)\n/).flatMap { Int($0.1) }
            return port != nil || !process.isRunning
        }
        guard let port else { throw DidNotStart(log: output(in: directory)) }
        let input = open(pipe, O_RDWR | O_CLOEXEC | O_NONBLOCK)
        guard input >= 0 else { throw MosquittoTestingError.systemCall("open", errno: errno) }
        return OpenSSLServer(port: port, directory, process, input: input)
    }

    private init(port: Int, _ directory: TemporaryDirectory, _ process: ChildProcess, input: Int32) {
        self.port = port
        self.directory = directory
        self.process = process
        self.input = input
        answers.withLock {
            $0 = Task { [weak self] in
                var answered = 0
                while !Task.isCancelled, let count = self?.answerConnects(after: answered) {
                    answered = count
                    try? await Task.sleep(for: .milliseconds(2))
                }
            }
        }
    }

    deinit {
        answers.withLock { $0?.cancel() }
        process.kill()
        close(input)
    }

    /// Kills the server and removes its folder, even if references remain.
    func stop() {
        answers.withLock { $0?.cancel() }
        process.kill()
        try? FileManager.default.removeItem(atPath: directory.path)
    }

    /// The output of the server: its report on each connection, and the bytes of the client, readable where they are
    /// ASCII.
    var output: String { Self.output(in: directory) }

    /// Returns the number of printed lines that begin with this text.
    func lines(_ start: String) -> Int { output.split(separator: "\n").count { $0.hasPrefix(start) } }

    /// Sends bytes to the client. `openssl s_server` interprets the first byte of each read as a command if that byte
    /// is a command's letter.
    func send(_ bytes: [UInt8]) {
        // A pipe accepts so few bytes as a whole or not at all; if they were lost, the test would fail at its deadline.
        _ = bytes.withUnsafeBytes { write(input, $0.baseAddress, $0.count) }
    }

    /// Sends a command: "q" ends the connection, "K" updates the keys, "r" renegotiates.
    func command(_ letter: String) { send(Array("\(letter)\n".utf8)) }

    private static func output(in directory: TemporaryDirectory) -> String {
        // Not UTF-8: the client's packets are in it.
        let data = FileManager.default.contents(atPath: directory.path + "/output") ?? Data()
        return String(decoding: data, as: UTF8.self)
    }

    /// Answers the CONNECTs that were not answered before. Returns how many there were in all.
    private func answerConnects(after answered: Int) -> Int {
        // MQTT 3.1.1 and 5.0, 3.1.2.1: the name of the protocol, with its length before and the version after it.
        let versions = output.matches(of: /\u{0}\u{4}MQTT(\u{4}|\u{5})/).map { $0.1 }
        for version in versions.dropFirst(answered) {
            send(version == "\u{4}" ? [0x20, 2, 0, 0] : [0x20, 3, 0, 0, 0])
        }
        return versions.count
    }
}

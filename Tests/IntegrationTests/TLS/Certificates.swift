// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing
import Turns

@testable import MosquittoTesting

/// The tests of TLS against servers that were not written with this library: each nested suite has a file of its own.
@Suite("TLS against real servers", .turn(.tls), .certificates)
enum TLSTests {}

/// The keys, certificates, revocation lists and OCSP responses made by `Tests/Brokers/tls/make-certificates`, which
/// explains each name.
struct Certificates: Sendable {
    struct NotMade: Error, CustomStringConvertible {
        var log: String
        var description: String { "make-certificates has failed:\n\(log)" }
    }

    let directory: TemporaryDirectory

    /// The certificates of the running suite.
    static var current: Certificates { get throws { try #require(made) } }

    @TaskLocal private static var made: Certificates?

    /// Makes the certificates, and removes them when `body` has returned.
    static func with<R>(_ body: (Certificates) async throws -> R) async throws -> R {
        let certificates = try await make()
        // Whoever still has a reference: the process of the tests may end before the last one goes.
        defer { try? FileManager.default.removeItem(atPath: certificates.directory.path) }
        return try await $made.withValue(certificates) { try await body(certificates) }
    }

    private static func make() async throws -> Certificates {
        let directory = try TemporaryDirectory()
        let log = directory.path + "/start.log"
        let script = URL(filePath: #filePath).appending(path: "../../../Brokers/tls/make-certificates").standardized
            .path
        let process = try ChildProcess(executable: script, arguments: [directory.path], log: log)
        _ = await eventually(timeout: .seconds(180)) { !process.isRunning }
        guard FileManager.default.fileExists(atPath: directory.path + "/complete") else {
            process.kill()
            throw NotMade(log: (try? String(contentsOfFile: log, encoding: .utf8)) ?? "")
        }
        return Certificates(directory: directory)
    }

    func path(_ name: String) -> String { "\(directory.path)/\(name)" }
    func text(_ name: String) throws -> String { try String(contentsOfFile: path(name), encoding: .utf8) }
    func bytes(_ name: String) throws -> [UInt8] { Array(try Data(contentsOf: URL(filePath: path(name)))) }
}

/// Makes the certificates once for a suite and all that are nested in it.
struct CertificatesTrait: SuiteTrait, TestScoping {
    func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
    ) async throws {
        try await Certificates.with { _ in try await function() }
    }
}

extension Trait where Self == CertificatesTrait {
    static var certificates: Self { Self() }
}

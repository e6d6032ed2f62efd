// SPDX-License-Identifier: Apache-2.0

import Foundation
import MosquittoTesting

/// A folder with files, some of which the command `openssl` makes, so that the library is tested with files from
/// another source.
struct OpenSSLFolder: Sendable {
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    private let folder: TemporaryDirectory
    var directory: String { folder.path }

    init() throws { folder = try TemporaryDirectory() }

    func path(_ name: String) -> String { "\(folder.path)/\(name)" }
    func text(_ name: String) throws -> String { try String(contentsOfFile: path(name), encoding: .utf8) }
    func bytes(_ name: String) throws -> [UInt8] { Array(try Data(contentsOf: URL(filePath: path(name)))) }

    func write(_ text: String, to name: String) throws { try folder.write(text, to: name) }
    func write(_ bytes: [UInt8], to name: String) throws { try Data(bytes).write(to: URL(filePath: path(name))) }

    /// Runs `openssl` in the folder; the words are separated by spaces.
    func openssl(_ words: String) async throws {
        let log = path("openssl.log")
        try write("", to: "openssl.log")
        var setup = ChildProcess.Setup(output: "/dev/null")
        setup.errors = log
        let process = try ChildProcess(
            executable: "/usr/bin/env",
            arguments: ["bash", "-c", #"cd "$1" && exec openssl "${@:2}""#, "openssl", folder.path]
                + words.split(separator: " ").map(String.init), setup)
        if await process.exit(deadline: .seconds(60)) != .status(0) {
            throw Failure(description: "openssl \(words): \((try? text("openssl.log")) ?? "")")
        }
    }

    /// Makes `NAME.key` and its certificate `NAME.pem`, signed by `issuer`, or self-signed without an issuer.
    func makeCertificate(_ name: String, issuer: String? = nil, key: String = "EC -pkeyopt ec_paramgen_curve:P-256")
        async throws
    {
        try await openssl("genpkey -algorithm \(key) -out \(name).key")
        guard let issuer else {
            try await openssl("req -new -x509 -days 2 -key \(name).key -subj /CN=\(name) -out \(name).pem")
            return
        }
        try await openssl("req -new -key \(name).key -subj /CN=\(name) -out \(name).csr")
        try write("basicConstraints = CA:\(name.contains("authority") ? "true" : "false")\n", to: "\(name).extensions")
        try await openssl(
            "x509 -req -in \(name).csr -days 2 -CA \(issuer).pem -CAkey \(issuer).key -CAcreateserial -out \(name).pem"
                + " -extfile \(name).extensions")
    }
}

// SPDX-License-Identifier: Apache-2.0

import Foundation
import Mosquitto
import MosquittoTesting
import Testing

extension TLSTests {
    @Suite("The key log file")
    struct KeyLogTests {
        /// The labels of the NSS key log format that Wireshark needs.
        @Test(arguments: [
            (TLSVersion.v1_2, ["CLIENT_RANDOM"]),
            (
                .v1_3,
                [
                    "SERVER_HANDSHAKE_TRAFFIC_SECRET", "CLIENT_HANDSHAKE_TRAFFIC_SECRET", "EXPORTER_SECRET",
                    "SERVER_TRAFFIC_SECRET_0", "CLIENT_TRAFFIC_SECRET_0",
                ]
            ),
        ])
        func `has the secrets of each connection, for its owner alone`(
            version: TLSVersion, labels: [String]
        ) async throws {
            let directory = try TemporaryDirectory()
            let path = directory.path + "/keys"
            let serverPath = directory.path + "/server-keys"
            let row = TLSRow("", server: showing("server-ecdsa", "-keylogfile \(serverPath)"), .connects()) {
                tls, _ in
                tls.keyLogFile = path
                tls.resumesSessions = false
            }
            for connections in 1...2 {
                try await row.check(version)
                let lines = try lines(path)
                #expect(Set(lines.map { $0.prefix { $0 != " " } }) == Set(labels.map { $0[...] }))
                #expect(lines.count == connections * labels.count)
                #expect(Set(lines).isSuperset(of: try self.lines(serverPath)), "both sides have the same secrets")
            }
            let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
            #expect(mode == 0o600)
        }

        @Test func `that is a symbolic link is not followed`() async throws {
            let directory = try TemporaryDirectory()
            try FileManager.default.createSymbolicLink(
                atPath: directory.path + "/link", withDestinationPath: directory.path + "/target")
            let row = TLSRow(
                "", server: showing("server-ecdsa"),
                .misconfigured(
                    "key log file \"\(directory.path)/link\" cannot be opened: Too many levels of symbolic links")
            ) { tls, _ in tls.keyLogFile = directory.path + "/link" }
            try await row.check(.v1_3)
            #expect(!FileManager.default.fileExists(atPath: directory.path + "/target"))
        }

        private func lines(_ path: String) throws -> [Substring] {
            try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n").filter { !$0.hasPrefix("#") }
        }
    }
}

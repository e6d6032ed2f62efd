// SPDX-License-Identifier: Apache-2.0

import Foundation
import MosquittoTesting
import Testing
import Turns

@testable import Mosquitto

/// Versions, ciphers, names and the key log: the protocol settings of a configuration.
@Suite(.turn(.units)) struct `The protocol of TLS` {
    private typealias Configuration = MQTTTLSConfiguration
    typealias Change = @Sendable (inout MQTTTLSConfiguration) -> Void

    private func configuration(_ change: Change) -> Configuration {
        var configuration = Configuration()
        configuration.verification = .none
        change(&configuration)
        return configuration
    }

    private func outcome(
        _ endpoint: MQTTEndpoint = TLSContext.testEndpoint, _ change: Change
    ) async throws -> LooseServer.Outcome {
        let context = try await TLSContext.prepared(configuration(change), for: endpoint)
        return try LooseServer(try TestCertificateAuthority().serverIdentity()).handshake(with: context)
    }

    private func complaint(_ change: Change) async throws -> MQTTError {
        let configuration = configuration(change)
        try configuration.validate()
        return try #require(
            await #expect(throws: MQTTError.self) { _ = try await TLSContext.prepared(configuration) })
    }

    @Test func `is the newest that both sides have`() async throws {
        #expect(try await outcome { _ in }.version == "TLSv1.3")
        #expect(try await outcome { $0.maximumVersion = .v1_2 }.version == "TLSv1.2")
        #expect(try await outcome { $0.minimumVersion = .v1_3 }.version == "TLSv1.3")
    }

    @Test func `has the ciphers that were chosen`() async throws {
        let old = try await outcome {
            $0.maximumVersion = .v1_2
            $0.ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256"
        }
        #expect(old.cipher == "ECDHE-ECDSA-AES128-GCM-SHA256")
        let new = try await outcome { $0.cipherSuites = "TLS_CHACHA20_POLY1305_SHA256" }
        #expect(new.cipher == "TLS_CHACHA20_POLY1305_SHA256")
    }

    static let mistakes: [(change: Change, message: String)] = [
        ({ $0.ciphers = "NONSENSE" }, #"ciphers "NONSENSE": OpenSSL has none of them: no cipher match"#),
        ({ $0.cipherSuites = "NONSENSE" }, #"cipherSuites "NONSENSE": OpenSSL does not have one of them"#),
        ({ $0.groups = "NONSENSE" }, #"groups "NONSENSE": OpenSSL does not have one of them"#),
        ({ $0.groups = "P-256:NONSENSE" }, #"groups "P-256:NONSENSE": OpenSSL does not have one of them"#),
    ]

    @Test(arguments: mistakes.indices)
    func `has no ciphers and groups that OpenSSL does not have`(index: Int) async throws {
        let (change, message) = Self.mistakes[index]
        let error = try await complaint(change)
        #expect(error.code == .tlsConfiguration)
        #expect(error.tls?.kind == .configuration)
        #expect(error.message.hasPrefix("TLS: " + message), "\(error.message)")
    }

    @Test func `names the host, or what was chosen instead`() async throws {
        #expect(try await outcome { _ in }.serverName == "a.example")
        #expect(try await outcome { $0.serverName = "b.example" }.serverName == "b.example")
        #expect(try await outcome { $0.serverNameIndication = .none }.serverName == nil)
        #expect(try await outcome { $0.serverNameIndication = .name("c.example") }.serverName == "c.example")
        let address = MQTTEndpoint(host: "192.0.2.1", port: 8_883)
        #expect(try await outcome(address) { _ in }.serverName == nil)
        #expect(try await outcome(address) { $0.serverNameIndication = .name("c.example") }.serverName == "c.example")
    }

    /// RFC 6066, section 3: an extension that OpenSSL cannot send is reported, not silently omitted.
    @Test func `names no server of more than 255 bytes`() throws {
        let name = String(repeating: "a", count: 256)
        for change: Change in [{ $0.serverName = name }, { $0.serverNameIndication = .name(name) }] {
            let error = #expect(throws: MQTTError.self) { try configuration(change).validate() }
            #expect(error?.code == .invalidConfiguration)
        }
        try configuration { $0.serverNameIndication = .name(String(name.dropLast())) }.validate()
    }

    // MARK: The key log

    private func mode(_ path: String) throws -> Int? {
        try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
    }

    @Test func `has its secrets in a file that its owner alone can read, after those of earlier connections`()
        async throws
    {
        let folder = try OpenSSLFolder()
        let path = folder.path("keys")
        for connections in 1...2 {
            _ = try await outcome { $0.keyLogFile = path }
            let lines = try folder.text("keys").split(separator: "\n")
            #expect(lines.count { $0.hasPrefix("CLIENT_TRAFFIC_SECRET_0 ") } == connections)
        }
        #expect(try mode(path) == 0o600)
    }

    @Test func `does not add its secrets to a file that others can read`() async throws {
        let folder = try OpenSSLFolder()
        let path = folder.path("keys")
        try folder.write("# mine\n", to: "keys")
        try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: path)
        // It may refuse the file, or restrict the file to its owner.
        _ = try? await outcome { $0.keyLogFile = path }
        #expect(try mode(path) == 0o600 || folder.text("keys") == "# mine\n")
    }

    static let badKeyLogs: [(name: String, reason: String)] = [
        ("", "Is a directory"), ("missing/keys", "No such file or directory"),
        ("link", "Too many levels of symbolic links"),
    ]

    @Test(arguments: badKeyLogs.indices)
    func `has no secrets in a file that cannot be opened`(index: Int) async throws {
        let (name, reason) = Self.badKeyLogs[index]
        let folder = try OpenSSLFolder()
        try FileManager.default.createSymbolicLink(atPath: folder.path("link"), withDestinationPath: "target")
        let path = folder.path(name)
        let error = try await complaint { $0.keyLogFile = path }
        #expect(error.code == .tlsConfiguration)
        #expect(error.message == "TLS: key log file \"\(path)\" cannot be opened: \(reason)")
        #expect(error.systemCode != nil)
        #expect(!FileManager.default.fileExists(atPath: folder.path("target")))
    }

    @Test func `that cannot be set up closes its key log again`() async throws {
        let folder = try OpenSSLFolder()
        let path = folder.path("keys")
        func descriptors() throws -> Int {
            try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count {
                (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\($0)")) == path
            }
        }
        #if os(Linux)
        for _ in 0..<10 {
            _ = try await complaint {
                $0.keyLogFile = path
                $0.ciphers = "NONSENSE"
            }
        }
        #expect(try descriptors() == 0)
        do {
            let context = try await TLSContext.prepared(configuration { $0.keyLogFile = path })
            #expect(try descriptors() == 1)
            withExtendedLifetime(context) {}
        }
        #expect(try descriptors() == 0)
        #endif
    }
}

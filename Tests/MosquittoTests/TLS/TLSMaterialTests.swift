// SPDX-License-Identifier: Apache-2.0

import Foundation
import MosquittoTesting
import Synchronization
import Testing
import Turns

@testable import Mosquitto

/// Tests of the comparison between the TLS material of a configuration and that of the previous attempt.
@Suite(.turn(.units)) struct `The material of TLS` {
    private typealias Configuration = MQTTTLSConfiguration

    /// Returns the material of a configuration before and after a change.
    private func materials(
        of configuration: Configuration, change: () async throws -> Void
    ) async throws -> (TLSMaterial, TLSMaterial) {
        let before = try await TLSMaterial(configuration)
        try await change()
        return (before, try await TLSMaterial(configuration))
    }

    private func error(_ configuration: Configuration) async throws -> MQTTError {
        try #require(await #expect(throws: MQTTError.self) { _ = try await TLSMaterial(configuration) })
    }

    // MARK: Files

    static let changes: [(name: String, change: @Sendable (OpenSSLFolder, String) throws -> Void)] = [
        ("replaced by one of the same size", { try $0.write("b", to: $1) }),
        (
            "written in place",
            { try FileHandle(forWritingTo: URL(filePath: $0.path($1))).write(contentsOf: Data("longer".utf8)) }
        ),
        (
            "touched",
            { try FileManager.default.setAttributes([.modificationDate: Date.distantPast], ofItemAtPath: $0.path($1)) }
        ),
        ("removed", { try FileManager.default.removeItem(atPath: $0.path($1)) }),
    ]

    @Test(arguments: changes.indices)
    func `is another one after a file was`(index: Int) async throws {
        let change = Self.changes[index]
        let folder = try OpenSSLFolder()
        for name in ["ca", "crl", "certificate", "key"] { try folder.write("a", to: name) }
        var configuration = Configuration(
            trust: [.system, .file(folder.path("ca"))],
            identity: .files(certificate: folder.path("certificate"), key: folder.path("key")))
        configuration.revocation = .init(.file(folder.path("crl")))
        for name in ["ca", "crl", "certificate", "key"] {
            let (before, after) = try await materials(of: configuration) { try change.change(folder, name) }
            let isTrust = name == "ca" || name == "crl"
            #expect(before.hasSameTrust(as: after) == !isTrust, "\(name) \(change.name)")
            #expect(before.hasSameIdentity(as: after) == isTrust, "\(name) \(change.name)")
        }
    }

    @Test func `is the same while nothing changes`() async throws {
        let folder = try OpenSSLFolder()
        try folder.write("a", to: "file")
        let path = folder.path("file")
        let identities: [Configuration.Identity] = [
            .files(certificate: path, key: path), .pkcs12(file: path), .pkcs12("p"), .pem(certificate: "c", key: "k"),
            .der(certificate: [1], key: MQTTSecret(bytes: [2])), .stored(certificate: path, keyURI: "u", engine: "e"),
            .provider { .files(certificate: path, key: path) },
        ]
        for identity in identities {
            var configuration = Configuration(
                trust: [
                    .system, .file(path), .directory(folder.directory), .pem("p"), .der([1]), .provider { .pem("q") },
                ],
                identity: identity)
            configuration.revocation = .init(.file(path), .pem("l"), .der([1]))
            let (before, after) = try await materials(of: configuration) {}
            #expect(before.hasSameTrust(as: after))
            #expect(before.hasSameIdentity(as: after))
        }
    }

    /// Kubernetes swaps the link of a whole directory.
    @Test func `is another one when a link on the way leads elsewhere`() async throws {
        let folder = try OpenSSLFolder()
        for name in ["one", "two"] {
            try FileManager.default.createDirectory(atPath: folder.path(name), withIntermediateDirectories: false)
            try folder.write("a", to: "\(name)/tls.crt")
        }
        func link(_ target: String) throws {
            try FileManager.default.createSymbolicLink(atPath: folder.path("new"), withDestinationPath: target)
            #expect(rename(folder.path("new"), folder.path("data")) == 0)
        }
        try link("one")
        let path = folder.path("data/tls.crt")
        let configuration = Configuration(trust: .file(path), identity: .files(certificate: path, key: path))
        let (before, after) = try await materials(of: configuration) { try link("two") }
        #expect(!before.hasSameTrust(as: after))
        #expect(!before.hasSameIdentity(as: after))
    }

    @Test func `is another one when a directory of trust gets a file`() async throws {
        let folder = try OpenSSLFolder()
        let configuration = Configuration(trust: .directory(folder.directory))
        let (before, after) = try await materials(of: configuration) { try folder.write("a", to: "01234567.0") }
        #expect(!before.hasSameTrust(as: after))
        #expect(before.hasSameIdentity(as: after))
    }

    @Test func `of a pre-shared key has neither trust nor identity, and asks no provider`() async throws {
        var configuration = Configuration(
            trust: .provider {
                Issue.record("was asked")
                return .system
            })
        configuration.preSharedKey = .init(identity: "i", key: "k")
        let material = try await TLSMaterial(configuration)
        #expect(material.trust == [])
        #expect(material.identity == nil)
    }

    // MARK: Providers

    @Test func `has what the providers give at the time`() async throws {
        let number = Mutex(UInt8(0))
        let configuration = Configuration(
            trust: [.der([0]), .provider { .der([number.withLock { $0 }]) }],
            identity: .provider { .pkcs12(MQTTSecret(bytes: [number.withLock { $0 / 2 }])) })
        let first = try await TLSMaterial(configuration)
        #expect(first.trust == [.bytes([0]), .bytes([0])])
        number.withLock { $0 = 1 }
        let second = try await TLSMaterial(configuration)
        #expect(second.trust == [.bytes([0]), .bytes([1])])
        #expect(!first.hasSameTrust(as: second))
        #expect(first.hasSameIdentity(as: second))
        number.withLock { $0 = 2 }
        #expect(!second.hasSameIdentity(as: try await TLSMaterial(configuration)))
    }

    @Test func `has the passphrase of the identity that the provider gave`() async throws {
        let configuration = Configuration(
            identity: .provider { .pkcs12("p", passphrase: { "correct horse" }) })
        #expect(try await TLSMaterial(configuration).askForPassphrase() == "correct horse")
        #expect(try await TLSMaterial(Configuration(identity: .pkcs12("p"))).askForPassphrase() == nil)
    }

    @Test func `has no provider that gives another one`() async throws {
        let message = "a TLS provider gave another provider; give what that one would give"
        let trust = try await error(Configuration(trust: .provider { [.system, .provider { .system }] }))
        #expect(trust.code == .credentials)
        #expect(trust.message == message)
        let identity = try await error(Configuration(identity: .provider { .provider { .pkcs12("p") } }))
        #expect(identity.message == message)
    }

    // MARK: Providers that fail

    private struct Secretive: Error, CustomStringConvertible { let description = "battery staple" }

    static let failures: [(error: any Error, message: String, isPermanent: Bool, retryAfter: Duration?)] = [
        (MQTTCredentialError.permanent("the vault is sealed"), "the vault is sealed", true, nil),
        (MQTTCredentialError.transient("come back"), "come back", false, nil),
        (MQTTCredentialError.transient("come back", retryAfter: .seconds(7)), "come back", false, .seconds(7)),
        (Secretive(), "the TLS WHAT provider failed with Secretive", false, nil),
        (MQTTError(.tlsConfiguration, "its own client failed"), "its own client failed", false, nil),
        (CancellationError(), "the TLS WHAT provider failed with CancellationError", false, nil),
    ]

    @Test(arguments: failures.indices)
    func `whose provider throws has failed like credentials`(index: Int) async throws {
        let failure = Self.failures[index]
        let configurations = [
            ("trust", Configuration(trust: [.system, .provider { throw failure.error }])),
            ("identity", Configuration(identity: .provider { throw failure.error })),
        ]
        for (what, configuration) in configurations {
            let error = try await error(configuration)
            #expect(error.code == .credentials)
            #expect(error.message == failure.message.replacingOccurrences(of: "WHAT", with: what))
            #expect(error.isPermanent == failure.isPermanent)
            #expect(error.retryAfter == failure.retryAfter)
            #expect(!"\(error)".contains("battery"))
        }
    }
}

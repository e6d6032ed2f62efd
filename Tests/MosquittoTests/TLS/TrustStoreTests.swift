// SPDX-License-Identifier: Apache-2.0

import CMosquitto
import CMosquittoShim
import Foundation
import MosquittoTesting
import Testing
import Turns

@testable import Mosquitto

@Suite(.turn(.units)) struct `A trust store` {
    private typealias Configuration = MQTTTLSConfiguration
    private typealias Trust = MQTTTLSConfiguration.Trust

    private static func makeFiles() async throws -> OpenSSLFolder {
        let folder = try OpenSSLFolder()
        try await folder.makeCertificate("root")
        try await folder.makeCertificate("foreign", key: "RSA")
        try await folder.openssl("x509 -in root.pem -outform der -out root.cer")
        try folder.write(
            "# Two of them\r\n" + folder.text("root.pem").replacingOccurrences(of: "\n", with: "\r\n")
                + "\nand\n" + folder.text("foreign.pem"), to: "both.pem")
        try folder.write("", to: "empty")
        try folder.write("garbage", to: "garbage")
        try folder.write([0x30, 0x82, 0xFF, 0xFF], to: "garbage.cer")
        try folder.write(folder.text("root.pem") + folder.text("foreign.pem").dropLast(40), to: "cut.pem")

        try FileManager.default.createDirectory(atPath: folder.path("hashed"), withIntermediateDirectories: false)
        try folder.write(folder.text("root.pem"), to: "hashed/root.pem")
        try await folder.openssl("rehash hashed")
        try folder.write(
            """
            [ca]
            default_ca = authority
            [authority]
            database = index.txt
            default_md = sha256
            default_crl_days = 1
            """, to: "ca.cnf")
        try folder.write("", to: "index.txt")
        try await folder.openssl("ca -gencrl -config ca.cnf -cert root.pem -keyfile root.key -out root.crl")
        try await folder.openssl("crl -in root.crl -outform der -out root.crl.der")
        try folder.write(String(folder.text("root.crl").dropLast(40)), to: "cut.crl")
        return folder
    }

    private func store(_ configuration: Configuration) async throws -> TrustStore {
        try await TrustStore.store(for: TLSMaterial(configuration))
    }

    private func count(_ store: TrustStore) -> Int32 { OPENSSL_sk_num(X509_STORE_get0_objects(store.pointer)) }

    private func complaint(_ configuration: Configuration) async throws -> String {
        try configuration.validate()
        let error = try #require(await #expect(throws: MQTTError.self) { _ = try await store(configuration) })
        #expect(error.code == .tlsConfiguration)
        #expect(error.tls?.kind == .configuration)
        return error.message
    }

    // MARK: Sources

    typealias Source = @Sendable (OpenSSLFolder) throws -> MQTTTLSConfiguration.Trust

    static let sources: [(source: Source, count: Int32)] = [
        ({ .file($0.path("root.pem")) }, 1), ({ .file($0.path("root.cer")) }, 1), ({ .file($0.path("both.pem")) }, 2),
        ({ .pem(try $0.text("both.pem")) }, 2), ({ .der(try $0.bytes("root.cer")) }, 1),
        ({ [.file($0.path("root.pem")), .der(try $0.bytes("root.cer")), .pem(try $0.text("both.pem"))] }, 2),
        ({ .pem(try $0.text("root.pem") + $0.text("root.key")) }, 1),
        // The directory is read during the handshake.
        ({ .directory($0.path("hashed")) }, 0),
        ({ [.directory($0.path("hashed")), .file($0.path("foreign.pem"))] }, 1),
        ({ folder in .provider { .file(folder.path("both.pem")) } }, 2),
    ]

    @Test func `has what its sources have, each once`() async throws {
        let folder = try await Self.makeFiles()
        for (source, count) in Self.sources {
            let trust = try source(folder)
            #expect(self.count(try await store(Configuration(trust: trust))) == count, "\(trust)")
        }
    }

    @Test func `trusts whom each of its sources trusts, and nobody else`() async throws {
        let folder = try await Self.makeFiles()
        let good: [Trust] = [
            .file(folder.path("root.pem")), .directory(folder.path("hashed")), .der(try folder.bytes("root.cer")),
            [.system, .pem(try folder.text("root.pem"))],
            [.pem(try folder.text("foreign.pem")), .file(folder.path("root.cer"))],
        ]
        let bad: [Trust] = [.system, .pem(try folder.text("foreign.pem")), .directory(folder.directory)]
        let server = try LooseServer(
            TestIdentity(certificatePEM: try folder.text("root.pem"), privateKeyPEM: try folder.text("root.key")))
        for (trusts, isGood) in [(good, true), (bad, false)] {
            for trust in trusts {
                var configuration = Configuration(trust: trust)
                configuration.verification = .withoutHostName
                let context = try await TLSContext.prepared(configuration)
                if isGood {
                    #expect(throws: Never.self, "\(trust)") { try server.handshake(with: context) }
                } else {
                    let error = #expect(throws: MQTTError.self, "\(trust)") { try server.handshake(with: context) }
                    #expect(error?.code == .tlsVerification)
                    // X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT
                    #expect(error?.tls?.verification?.code == 18)
                }
            }
        }
    }

    static let mistakes: [(source: Source, message: String)] = [
        (
            { .file($0.path("missing")) },
            #"certificate authority file "~/missing" cannot be opened: No such file or directory"#
        ),
        ({ .file($0.path("hashed")) }, #"certificate authority file "~/hashed" cannot be read; is it a directory?"#),
        (
            { .file($0.path("empty")) },
            #"certificate authority file "~/empty": no certificate in PEM or DER form was found"#
        ),
        (
            { .file($0.path("garbage")) },
            #"certificate authority file "~/garbage": no certificate in PEM or DER form was found"#
        ),
        (
            { .file($0.path("root.key")) },
            #"certificate authority file "~/root.key": no certificate in PEM or DER form was found"#
        ),
        (
            { .file($0.path("root.crl")) },
            #"certificate authority file "~/root.crl": no certificate in PEM or DER form was found"#
        ),
        ({ .file($0.path("cut.pem")) }, #"certificate authority file "~/cut.pem": a certificate cannot be read:"#),
        (
            { .file($0.path("garbage.cer")) },
            #"certificate authority file "~/garbage.cer": a certificate cannot be read:"#
        ),
        ({ _ in .pem("") }, "the certificate authorities in memory: no certificate in PEM or DER form was found"),
        ({ _ in .der([]) }, "the certificate authorities in memory: no certificate in PEM or DER form was found"),
        ({ _ in .der([0x30]) }, "the certificate authorities in memory: a certificate cannot be read:"),
        (
            { .directory($0.path("missing")) },
            #"certificate authority directory "~/missing" cannot be opened: No such file or directory"#
        ),
        (
            { .directory($0.path("root.pem")) },
            #"certificate authority directory "~/root.pem" cannot be opened: Not a directory"#
        ),
    ]

    @Test func `that cannot be made says which source it is, and why`() async throws {
        let folder = try await Self.makeFiles()
        for (source, message) in Self.mistakes {
            try await expect(message, in: folder, Configuration(trust: try source(folder)))
        }
    }

    // MARK: Revocation lists

    typealias List = @Sendable (OpenSSLFolder) throws -> MQTTTLSConfiguration.Revocation.List

    static let badLists: [(list: List, message: String)] = [
        (
            { .file($0.path("missing")) },
            #"certificate revocation list "~/missing" cannot be opened: No such file or directory"#
        ),
        ({ .file($0.path("empty")) }, #"certificate revocation list "~/empty": no list in PEM or DER form was found"#),
        (
            { .file($0.path("garbage")) },
            #"certificate revocation list "~/garbage": no list in PEM or DER form was found"#
        ),
        (
            { .file($0.path("root.pem")) },
            #"certificate revocation list "~/root.pem": no list in PEM or DER form was found"#
        ),
        ({ .file($0.path("root.cer")) }, #"certificate revocation list "~/root.cer": a list cannot be read:"#),
        ({ .file($0.path("cut.crl")) }, #"certificate revocation list "~/cut.crl": a list cannot be read:"#),
        ({ .pem(try $0.text("cut.crl")) }, "the certificate revocation list in memory: a list cannot be read:"),
        ({ _ in .der([]) }, "the certificate revocation list in memory: no list in PEM or DER form was found"),
        ({ _ in .pem("garbage") }, "the certificate revocation list in memory: no list in PEM or DER form was found"),
    ]

    @Test func `has the revocation lists too`() async throws {
        let folder = try await Self.makeFiles()
        let path = folder.path("root.crl")
        for list: Configuration.Revocation.List in [
            .file(path), .file(path + ".der"), .pem(try folder.text("root.crl")),
            .der(try folder.bytes("root.crl.der")),
        ] {
            var configuration = Configuration(trust: .file(folder.path("root.pem")))
            configuration.revocation = .init(list)
            #expect(count(try await store(configuration)) == 2, "\(list)")
        }
    }

    @Test func `of a list that cannot be read says which, and why`() async throws {
        let folder = try await Self.makeFiles()
        for (list, message) in Self.badLists {
            var configuration = Configuration(trust: .file(folder.path("root.pem")))
            configuration.revocation = .init(try list(folder))
            try await expect(message, in: folder, configuration)
        }
    }

    /// `~` stands for the folder, and a colon at the end for a reason of OpenSSL's.
    private func expect(_ message: String, in folder: OpenSSLFolder, _ configuration: Configuration) async throws {
        let expected = "TLS: " + message.replacingOccurrences(of: "~", with: folder.directory)
        let complaint = try await complaint(configuration)
        if expected.hasSuffix(":") {
            #expect(complaint.hasPrefix(expected), "\(complaint)")
            #expect(complaint.count > expected.count, "a reason: \(complaint)")
        } else {
            #expect(complaint == expected)
        }
    }

    // MARK: Sharing

    @Test func `is shared by all that trust the same, and gone with the last of them`() async throws {
        let folder = try await Self.makeFiles()
        let configuration = Configuration(trust: [.file(folder.path("root.pem")), .pem(try folder.text("foreign.pem"))])
        weak var released: TrustStore?
        do {
            let first = try await TLSContext.prepared(configuration)
            let second = try await TLSContext.prepared(configuration)
            let store = try await store(configuration)
            released = store
            #expect(first.record.pointee.trust == store.pointer)
            #expect(second.record.pointee.trust == store.pointer)
        }
        #expect(released == nil)
    }

    @Test func `is another one for other trust, other lists, and files that have changed`() async throws {
        let folder = try await Self.makeFiles()
        var configuration = Configuration(trust: .file(folder.path("root.pem")))
        let first = try await store(configuration)
        #expect(try await store(Configuration(trust: .file(folder.path("both.pem")))) !== first)
        configuration.revocation = .init(.file(folder.path("root.crl")))
        #expect(try await store(configuration) !== first)
        configuration.revocation = nil
        #expect(try await store(configuration) === first)
        try folder.write(folder.text("both.pem"), to: "root.pem")
        let second = try await store(configuration)
        #expect(second !== first)
        #expect(count(second) == 2)
    }

    @Test func `of a configuration that was changed is used by the next connection, and the old one by nobody`()
        async throws
    {
        let folder = try await Self.makeFiles()
        let configuration = Configuration(trust: .file(folder.path("root.pem")))
        let context = try await TLSContext.prepared(configuration)
        weak let old = try await store(configuration)
        try folder.write(folder.text("both.pem"), to: "root.pem")
        _ = try await TLSContext.prepared(configuration, again: context)
        #expect(context.record.pointee.trust == (try await store(configuration)).pointer)
        #expect(old == nil)
    }
}

// SPDX-License-Identifier: Apache-2.0

import MosquittoTesting
import Testing
import Turns

@testable import Mosquitto

@Suite(.turn(.units)) struct `A TLS configuration` {
    typealias Change = @Sendable (inout MQTTTLSConfiguration) throws -> Void

    private static let key = MQTTSecret("-----BEGIN PRIVATE KEY-----")

    private static let bad: [(Change, String)] = [
        ({ $0.trust = .file("") }, "is not a file"), ({ $0.trust = .directory("a\0b") }, "is not a file"),
        ({ $0.trust = [.system, .file("-----BEGIN CERTIFICATE-----")] }, "named by its content"),
        ({ $0.identity = .files(certificate: "c", key: key.text) }, "named by its content"),
        ({ $0.identity = .pkcs12(file: "") }, "is not a file"), ({ $0.keyLogFile = "" }, "is not a file"),
        ({ $0.revocation = .init(.file("")) }, "is not a file"), ({ $0.trust = [] }, "trust is empty"),
        (
            {
                $0.maximumVersion = .v1_2
                $0.minimumVersion = .v1_3
            }, "maximumVersion is below"
        ),
        (
            {
                $0.requiresPostQuantum = true
                $0.maximumVersion = .v1_2
            }, "requiresPostQuantum needs TLS 1.3"
        ),
        (
            {
                $0.requiresPostQuantum = true
                $0.groups = "X25519MLKEM768:?P-256"
            }, #"groups has "P-256""#
        ),
        ({ $0.serverName = "" }, "is not a server name"),
        ({ $0.serverNameIndication = .name("a\0") }, "is not a server name"),
        ({ $0.serverName = ".example.com" }, "begins with a dot"),  // core 19
        ({ $0.serverNameIndication = .name(".example.com") }, "begins with a dot"),
        ({ $0.applicationProtocols = ["mqtt", ""] }, "has 0 bytes"), ({ $0.ciphers = "" }, "names no ciphers"),
        ({ $0.groups = "a\0" }, "names no ciphers"), ({ $0.revocation = .init() }, "revocation has no list"),
        (
            {
                $0.verification = .none
                $0.requiresOCSPStaple = true
            }, "need a verified chain"
        ),
        (
            {
                $0.preSharedKey = .init(identity: "i", key: key)
                $0.verification = .none
            }, "one or the other"
        ),
        (
            {
                $0.preSharedKey = .init(identity: "i", key: key)
                $0.identity = .pkcs12("x")
            }, "one or the other"
        ),
        ({ $0.preSharedKey = .init(identity: "", key: key) }, "has 0 bytes"),
        ({ $0.preSharedKey = .init(identity: "i", key: "") }, "has 0 bytes"),
        ({ $0.preSharedKey = try .init(identity: "i", hexadecimalKey: "abc") }, "hexadecimal"),
        ({ $0.pins = [try MQTTTLSPublicKeyPin("sha256/AAAA")] }, "is not a public key pin"),
        ({ $0.pins = [try MQTTTLSPublicKeyPin(sha256: [1])] }, "has 1 bytes"),
    ]

    @Test(arguments: bad) func `with a mistake says what it is, and no secret`(change: Change, text: String) throws {
        let error = try #require(throws: MQTTError.self) {
            var configuration = MQTTTLSConfiguration()
            try change(&configuration)
            try configuration.validate()
        }
        #expect(error.code == .invalidConfiguration)
        #expect(error.message.contains(text), "\(error.message)")
        #expect(!error.message.contains("PRIVATE KEY"))
    }

    private static let unusable: [(Change, String)] = [
        ({ $0.ciphers = "NO-SUCH-CIPHER" }, "NO-SUCH-CIPHER"), ({ $0.cipherSuites = "TLS_NO" }, "TLS_NO"),
        ({ $0.groups = "no-such-group" }, "no-such-group"),
        ({ $0.keyLogFile = "/does/not/exist/keys" }, "/does/not/exist/keys"),
        ({ $0.trust = .directory("/does/not/exist") }, "/does/not/exist"),
        ({ $0.trust = .der([0x30, 1, 2]) }, "in memory"), ({ $0.trust = .der([]) }, "no certificate"),
        ({ $0.revocation = .init(.pem("nothing")) }, "no list"),
        ({ $0.revocation = .init(.der([0x30, 0x82])) }, "a list cannot be read"),
        ({ $0.identity = .pkcs12(MQTTSecret(bytes: [1, 2])) }, "PKCS #12"),
        ({ $0.identity = .stored(certificate: "/does/not/exist", keyURI: "pkcs11:pin-value=1234") }, "/does/not/exist"),
    ]

    @Test(arguments: unusable) func `that OpenSSL cannot use names what is wrong`(change: Change, text: String)
        async throws
    {
        var configuration = MQTTTLSConfiguration()
        try change(&configuration)
        try configuration.validate()
        let error = await #expect(throws: MQTTError.self) {
            _ = try await TLSContext.prepare(
                nil, configuration, for: MQTTEndpoint(host: "a.example", port: 8_883), turn: 0)
        }
        #expect(error?.code == .tlsConfiguration)
        #expect(error?.tls?.kind == .configuration)
        #expect(error?.message.contains(text) == true, "\(error?.message ?? "")")
        #expect(error?.message.contains("1234") == false)
    }

    @Test func `asks for a passphrase only if the key needs one`() async throws {
        let identity = try TestCertificateAuthority().clientIdentity(commonName: "dev1")
        var configuration = MQTTTLSConfiguration()
        configuration.identity = .pem(
            certificate: identity.certificatePEM, key: MQTTSecret(identity.privateKeyPEM),
            passphrase: {
                Issue.record("nobody needs it")
                return "x"
            })
        _ = try await TLSContext.prepare(nil, configuration, for: MQTTEndpoint(host: "a.example", port: 1), turn: 0)
    }

    @Test func `is prepared by the newest attempt alone`() async throws {
        let configuration = MQTTTLSConfiguration(trust: .pem(try TestCertificateAuthority().certificatePEM))
        let endpoint = MQTTEndpoint(host: "a.example", port: 1)
        let context = try await TLSContext.prepare(nil, configuration, for: endpoint, turn: 2)
        let error = await #expect(throws: MQTTError.self) {
            _ = try await TLSContext.prepare(context, configuration, for: endpoint, turn: 1)
        }
        #expect(error?.code == .cancelled)
    }

    @Test func `shares its trust with an equal one`() async throws {
        let configuration = MQTTTLSConfiguration(trust: .pem(try TestCertificateAuthority().certificatePEM))
        let material = try await TLSMaterial(configuration)
        let one = try await TrustStore.store(for: material)
        #expect(try await TrustStore.store(for: TLSMaterial(configuration)) === one)
        let other = MQTTTLSConfiguration(trust: .pem(try TestCertificateAuthority().certificatePEM))
        #expect(try await TrustStore.store(for: TLSMaterial(other)) !== one)
    }

    @Test func `a provider may not give another provider`() async throws {
        let nested = MQTTTLSConfiguration(trust: .provider { .provider { .system } })
        let error = await #expect(throws: MQTTError.self) { _ = try await TLSMaterial(nested) }
        #expect(error?.code == .credentials)
    }

    @Test func `a pin is the same in each of its forms`() throws {
        let base64 = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
        let pin = try MQTTTLSPublicKeyPin(base64)
        #expect(pin == (try MQTTTLSPublicKeyPin("sha256/" + base64)))
        #expect(pin == (try MQTTTLSPublicKeyPin("sha256//" + base64)))
        #expect(pin == (try MQTTTLSPublicKeyPin(sha256: pin.sha256)))
        #expect(pin.description == "sha256/" + base64)
    }
}

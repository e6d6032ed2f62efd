// SPDX-License-Identifier: Apache-2.0

import CMosquitto
import CMosquittoShim
import MosquittoTesting
import Testing
import Turns

@testable import Mosquitto

/// The group of the key exchange, and the demand for one that withstands a quantum computer.
@Suite(.turn(.units)) struct `The key exchange of TLS` {
    private typealias Change = @Sendable (inout MQTTTLSConfiguration) -> Void

    /// False with OpenSSL 3.0 to 3.4.
    private static let hasPostQuantumGroups = OpenSSL_version_num() >= 0x3050_0000

    private func context(_ change: Change) async throws -> TLSContext {
        var configuration = MQTTTLSConfiguration()
        configuration.verification = .none
        change(&configuration)
        return try await TLSContext.prepared(configuration)
    }

    private func server(_ groups: String? = nil, _ version: Int32 = TLS1_3_VERSION) throws -> LooseServer {
        let server = try LooseServer(try TestCertificateAuthority().serverIdentity(), maximumVersion: version)
        if let groups { #expect(cmq_ctx_set_groups(server.pointer, groups) == 1) }
        return server
    }

    @Test(arguments: [("P-384", "secp384r1"), ("X25519", "x25519"), ("P-256", "secp256r1")])
    func `has a name in each version`(group: String, name: String) async throws {
        // In TLS 1.2 the group of the broker's certificate counts too.
        let groups = group == "P-256" ? group : "\(group):P-256"
        for version in [MQTTTLSConfiguration.Version.v1_2, .v1_3] {
            let context = try await context {
                $0.maximumVersion = version
                $0.groups = groups
            }
            #expect(try server(groups).handshake(with: context).group == name)
        }
    }

    @Test func `of a resumed session is known too`() async throws {
        let context = try await context { $0.groups = "P-384" }
        let server = try server()
        #expect(try server.handshake(with: context).group == "secp384r1")
        let resumed = try server.handshake(with: context)
        #expect(resumed.isResumed)
        #expect(resumed.group == "secp384r1")
    }

    @Test func `is post-quantum with a part of ML-KEM`() {
        for name in ["X25519MLKEM768", "SecP256r1MLKEM768", "MLKEM1024", "mlkem512"] {
            #expect(PostQuantum.isGroup(name))
            var info = MQTTConnectionInfo.TLS(version: "", cipher: "", resumed: false)
            #expect(!info.isPostQuantum)
            info.group = name
            #expect(info.isPostQuantum)
        }
        for name in ["x25519", "secp256r1", "ffdhe2048", ""] { #expect(!PostQuantum.isGroup(name)) }
    }

    @Test func `is post-quantum if that is required, or an error names the library that has none`() async throws {
        guard Self.hasPostQuantumGroups else {
            let error = await #expect(throws: MQTTError.self) { try await context { $0.requiresPostQuantum = true } }
            #expect(error?.code == .tlsConfiguration)
            #expect(error?.tls?.kind == .configuration)
            #expect(error?.message.contains("\(OpenSSLLibrary.version) has no post-quantum group") == true)
            return
        }
        let outcome = try server().handshake(with: try await context { $0.requiresPostQuantum = true })
        #expect(outcome.version == "TLSv1.3")
        #expect(outcome.group == "X25519MLKEM768")
    }

    @Test(arguments: [("P-256", TLS1_3_VERSION), (nil, TLS1_2_VERSION)])
    func `is not agreed on with a server that has no such group, or no TLS 1.3`(
        groups: String?, version: Int32
    ) async throws {
        guard Self.hasPostQuantumGroups else { return }
        let context = try await context { $0.requiresPostQuantum = true }
        let server = try server(groups, version)
        let error = #expect(throws: MQTTError.self) { try server.handshake(with: context) }
        #expect(error?.tls?.kind == .notPostQuantum || error?.tls?.kind == .alert)
    }

    @Test func `is checked after the handshake, whatever OpenSSL has agreed to`() async throws {
        // Validation refuses such groups.
        let context = try await context {
            $0.groups = "X25519"
            $0.requiresPostQuantum = true
        }
        let server = try server()
        let error = #expect(throws: MQTTError.self) { try server.handshake(with: context) }
        #expect(error?.code == .tlsProtocol)
        #expect(error?.tls?.kind == .notPostQuantum)
        #expect(error?.message.contains("the key exchange was x25519") == true)
        // Nor is its session kept.
        #expect(context.record.pointee.session == nil)
    }

    @Test func `is the reason for an alert before a certificate was shown`() {
        for code in UInt8.min ... .max {
            var failure = MQTTTLSFailure(.alert, alert: .init(received: true, code: code))
            failure.blameKeyExchange()
            #expect((failure.kind == .notPostQuantum) == [40, 47, 70, 71].contains(code))
        }
        var other = MQTTTLSFailure(.clientCertificate, alert: .init(received: true, code: 40))
        other.blameKeyExchange()
        #expect(other.kind == .clientCertificate)
        var failure = MQTTTLSFailure(.alert, alert: .init(received: true, code: 40))
        failure.blameKeyExchange()
        #expect(
            failure.error(phase: .tlsHandshake).message
                == """
                the broker has no post-quantum key exchange in common with this side: it sent the TLS alert \
                handshake_failure (40); give the broker TLS 1.3 and a group such as X25519MLKEM768 (OpenSSL 3.5), or do \
                not require one
                """)
    }

    @Test func `may be limited to some post-quantum groups`() throws {
        var configuration = MQTTTLSConfiguration()
        configuration.requiresPostQuantum = true
        configuration.groups = "?*X25519MLKEM768/SecP384r1MLKEM1024:-MLKEM768"
        try configuration.validate()
    }
}

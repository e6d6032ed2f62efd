// SPDX-License-Identifier: Apache-2.0

import CMosquitto
import CMosquittoShim
import MosquittoTesting
import Testing
import Turns

@testable import Mosquitto

/// The decision, after a handshake, whether the broker has authenticated itself.
@Suite(.turn(.units)) struct `The authentication of the broker` {
    private typealias Facts = TLSAuthentication.Facts

    /// A handshake of TLS 1.3 with a certificate that has passed all checks.
    private func facts(_ change: (inout Facts) -> Void = { _ in }) -> Facts {
        var facts = Facts(
            offeredSession: false, isReused: false, needsKey: false, gaveKey: false, isKeyCipher: false,
            isVersion1_3: true, hasCertificate: true, isVerified: true, needsStaple: false, isStapled: false)
        change(&facts)
        return facts
    }

    private func proof(_ change: (inout Facts) -> Void = { _ in }) -> TLSAuthentication? {
        TLSAuthentication.proof(in: facts(change))
    }

    @Test func `is a certificate that was verified in this handshake`() {
        #expect(proof() == .certificate)
        #expect(proof { $0.isVerified = false } == nil)
        #expect(proof { $0.hasCertificate = false } == nil)
        #expect(proof { $0.isReused = true } == nil)
    }

    @Test func `is a certificate with its OCSP response, if one is required`() {
        #expect(proof { $0.needsStaple = true } == nil)
        #expect(proof { ($0.needsStaple, $0.isStapled) = (true, true) } == .certificate)
        #expect(proof { ($0.needsStaple, $0.isReused, $0.offeredSession) = (true, true, true) } == nil)
    }

    @Test func `is the configured key, and then no certificate`() {
        #expect(proof { $0.needsKey = true } == nil)
        #expect(proof { ($0.needsKey, $0.gaveKey) = (true, true) } == nil)
        #expect(proof { ($0.needsKey, $0.isReused) = (true, true) } == nil)
        #expect(proof { ($0.needsKey, $0.gaveKey, $0.isReused) = (true, true, true) } == .preSharedKey)
        #expect(proof { ($0.needsKey, $0.gaveKey, $0.isVersion1_3) = (true, true, false) } == nil)
        let old = proof { ($0.needsKey, $0.gaveKey, $0.isVersion1_3, $0.isKeyCipher) = (true, true, false, true) }
        #expect(old == .preSharedKey)
    }

    @Test func `is a session that was offered and is used again`() {
        #expect(proof { ($0.offeredSession, $0.isReused, $0.isVerified) = (true, true, false) } == .resumption)
        #expect(proof { ($0.offeredSession, $0.isReused, $0.needsKey) = (true, true, true) } == .resumption)
        // The broker has preferred a full handshake.
        #expect(proof { $0.offeredSession = true } == .certificate)
        #expect(proof { ($0.offeredSession, $0.isVerified) = (true, false) } == nil)
    }

    // MARK: A server without a certificate

    static let configurations: [@Sendable (inout MQTTTLSConfiguration) throws -> Void] = [
        { $0.verification = .full }, { $0.verification = .withoutHostName }, { $0.verification = .none },
        { $0.pins = [MQTTTLSPublicKeyPin(unchecked: [UInt8](repeating: 1, count: 32))] },
        { $0.customVerification = { _ in } },
        { $0.preSharedKey = try .init(identity: "sensor", hexadecimalKey: "00112233445566778899aabbccddeeff") },
    ]

    /// The list of ciphers is replaced behind the configuration's back: the handshake itself succeeds.
    @Test(arguments: configurations.indices)
    func `is missing if the server has shown nothing, whatever the configuration is`(index: Int) async throws {
        var configuration = MQTTTLSConfiguration()
        try Self.configurations[index](&configuration)
        // Settings that no other test shares.
        configuration.applicationProtocols = ["anonymous-\(index)"]
        let context = try await TLSContext.prepared(configuration)
        SSL_CTX_set_cipher_list(context.pointer, "ALL:@SECLEVEL=0")
        let server = try LooseServer.anonymous()
        let error = #expect(throws: MQTTError.self) { _ = try server.handshake(with: context) }
        #expect(error?.code == .tlsVerification)
        #expect(error?.tls?.kind == .unauthenticated)
        #expect(error?.phase == .tlsHandshake)
        #expect(error?.message.contains("AECDH-AES256-SHA") == true)
        #expect(context.record.pointee.session == nil)
    }

    @Test(arguments: ["ALL:@SECLEVEL=0", "HIGH:@SECLEVEL=0", "ALL:COMPLEMENTOFALL:@SECLEVEL=0", "aNULL+HIGH:AES"])
    func `needs a cipher that has one, whatever the list says`(ciphers: String) async throws {
        var configuration = MQTTTLSConfiguration()
        configuration.ciphers = ciphers
        let context = try await TLSContext.prepared(configuration)
        let list = SSL_CTX_get_ciphers(context.pointer)
        let ciphers = (0..<OPENSSL_sk_num(list)).map { OpaquePointer(OPENSSL_sk_value(list, $0)) }
        #expect(!ciphers.isEmpty)
        for cipher in ciphers {
            #expect(SSL_CIPHER_get_auth_nid(cipher) != NID_auth_null)
            #expect(SSL_CIPHER_get_cipher_nid(cipher) != NID_undef)
        }
        configuration.ciphers = "aNULL"
        let anonymous = configuration
        let error = await #expect(throws: MQTTError.self) { try await TLSContext.prepared(anonymous) }
        #expect(error?.code == .tlsConfiguration)
    }

    static let levels: [(ciphers: String?, level: Int32)] = [
        (nil, 2), ("ECDHE+AESGCM", 2), ("DEFAULT:@SECLEVEL=3", 3), ("DEFAULT:@SECLEVEL=1", 1),
    ]

    @Test(arguments: levels)
    func `has a security level of 2, unless another one is written out`(ciphers: String?, level: Int32) async throws {
        var configuration = MQTTTLSConfiguration()
        configuration.ciphers = ciphers
        let context = try await TLSContext.prepared(configuration)
        #expect(SSL_CTX_get_security_level(context.pointer) == level)
        #expect(configuration.lowSecurityLevel == (level < 2 ? Int(level) : nil))
    }
}

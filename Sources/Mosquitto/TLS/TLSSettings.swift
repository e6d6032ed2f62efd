// SPDX-License-Identifier: Apache-2.0

import CMosquitto
import CMosquittoShim
import Synchronization

/// An `SSL_CTX`: the settings common to all connections of a ``MQTTTLSConfiguration``. Clients whose configurations
/// agree in them share it, since OpenSSL needs 10 KB and a good part of a handshake's time to create one. The settings
/// of one connection, such as trust, name, identity and sessions, are in its record and its `SSL`.
///
/// `@unchecked Sendable`: the `SSL_CTX` is not modified once it is shared, and OpenSSL locks its use by connections.
final class TLSSettings: @unchecked Sendable {
    let pointer: OpaquePointer

    private struct Key: Hashable {
        let minimumVersion: Int32
        let maximumVersion: Int32
        let ciphers: String?
        let cipherSuites: String?
        let groups: String?
        let requiresPostQuantum: Bool
        let applicationProtocols: [String]
        let revocation: Int32
        let hasKey: Bool
        let hasKeyLog: Bool

        init(_ configuration: MQTTTLSConfiguration) {
            minimumVersion = configuration.minimumVersion.number
            maximumVersion = configuration.maximumVersion?.number ?? 0
            ciphers = configuration.ciphers
            cipherSuites = configuration.cipherSuites
            groups = configuration.groups
            requiresPostQuantum = configuration.requiresPostQuantum
            applicationProtocols = configuration.applicationProtocols
            revocation = configuration.revocation.map { $0.scope == .chain ? 2 : 1 } ?? 0
            hasKey = configuration.preSharedKey != nil
            hasKeyLog = configuration.keyLogFile != nil
        }
    }

    private struct Weak { weak var settings: TLSSettings? }

    private static let shared = Mutex<[Key: Weak]>([:])

    /// Returns the settings of a configuration; existing ones if they are still in use. Throws
    /// ``MQTTError/Code/tlsConfiguration``.
    static func settings(
        of configuration: MQTTTLSConfiguration, for record: UnsafePointer<cmq_tls>
    ) throws(MQTTError) -> TLSSettings {
        let key = Key(configuration)
        if let known = shared.withLock({ $0[key]?.settings }) { return known }
        let settings = try TLSSettings(configuration, record)
        shared.withLock { all in
            all = all.filter { $0.value.settings != nil }
            all[key] = Weak(settings: settings)
        }
        return settings
    }

    /// The lowest security level that needs not be written out: keys of 112 bits (RSA and DH of 2,048).
    static let securityLevel: Int32 = 2

    /// Ciphers without authentication of the broker, and ciphers without encryption.
    private static let neverCiphers = ":!aNULL:!eNULL"

    private init(_ configuration: MQTTTLSConfiguration, _ record: UnsafePointer<cmq_tls>) throws(MQTTError) {
        guard let pointer = cmq_ctx_new(record) else { throw TLSContext.failure("OpenSSL could not make a context") }
        self.pointer = pointer
        try setProtocol(configuration)
    }

    deinit { SSL_CTX_free(pointer) }

    private func setProtocol(_ configuration: MQTTTLSConfiguration) throws(MQTTError) {
        let maximum = configuration.maximumVersion?.number ?? 0
        // A post-quantum key exchange is one of TLS 1.3.
        let minimum = configuration.requiresPostQuantum ? TLS1_3_VERSION : configuration.minimumVersion.number
        guard cmq_ctx_set_versions(pointer, minimum, maximum) == 1 else {
            throw TLSContext.failure("OpenSSL does not have these versions")
        }
        // With a pre-shared key, only ciphers that use one.
        let ciphers = configuration.ciphers ?? (configuration.preSharedKey == nil ? nil : "kECDHEPSK:kDHEPSK:kPSK")
        // The level of OpenSSL's configuration may be lower; "@SECLEVEL" in `ciphers` sets another one.
        SSL_CTX_set_security_level(pointer, max(Self.securityLevel, SSL_CTX_get_security_level(pointer)))
        if let ciphers, SSL_CTX_set_cipher_list(pointer, ciphers + Self.neverCiphers) != 1 {
            throw TLSContext.failure("ciphers \(quoted(ciphers)): OpenSSL has none of them")
        }
        if let suites = configuration.cipherSuites, SSL_CTX_set_ciphersuites(pointer, suites) != 1 {
            throw TLSContext.failure("cipherSuites \(quoted(suites)): OpenSSL does not have one of them")
        }
        if let groups = configuration.groups {
            if cmq_ctx_set_groups(pointer, groups) != 1 {
                throw TLSContext.failure("groups \(quoted(groups)): OpenSSL does not have one of them")
            }
        } else if configuration.requiresPostQuantum, cmq_ctx_require_post_quantum(pointer) == 0 {
            throw TLSContext.failure(
                "requiresPostQuantum: \(OpenSSLLibrary.version) has no post-quantum group; OpenSSL 3.5 and newer have")
        }
        let protocols = configuration.applicationProtocols.flatMap { [UInt8($0.utf8.count)] + $0.utf8 }
        // Unlike the others, this function returns 0 on success.
        if !protocols.isEmpty, SSL_CTX_set_alpn_protos(pointer, protocols, UInt32(protocols.count)) != 0 {
            throw TLSContext.failure("applicationProtocols cannot be set")
        }
        if let revocation = configuration.revocation {
            let all = revocation.scope == .chain ? X509_V_FLAG_CRL_CHECK_ALL : 0
            X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(pointer), UInt(X509_V_FLAG_CRL_CHECK | all))
        }
    }
}

extension MQTTTLSConfiguration.Version {
    fileprivate var number: Int32 {
        switch self {
        case .v1_2: TLS1_2_VERSION
        case .v1_3: TLS1_3_VERSION
        }
    }
}

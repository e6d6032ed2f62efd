import CMosquitto
import CMosquittoShim
import Synchronization

/// An `SSL_CTX`: what is the same for all connections of a ``TLSConfiguration``, shared by all clients whose configurations agree in
/// it, since it takes OpenSSL 10 KB and a good part of a handshake's time to make one. What belongs to one connection, such as
/// trust, name, identity and sessions, is in its record and its `SSL`.
///
/// `@unchecked Sendable`: it is changed by nobody once it is shared, and OpenSSL locks what connections do with it.
final class TLSSettings: @unchecked Sendable {
    let pointer: OpaquePointer

    private struct Key: Hashable {
        let minimumVersion: Int32
        let maximumVersion: Int32
        let ciphers: String?
        let cipherSuites: String?
        let groups: String?
        let applicationProtocols: [String]
        let revocation: Int32
        let hasKey: Bool
        let hasKeyLog: Bool

        init(_ configuration: TLSConfiguration) {
            minimumVersion = configuration.minimumVersion.number
            maximumVersion = configuration.maximumVersion?.number ?? 0
            ciphers = configuration.ciphers
            cipherSuites = configuration.cipherSuites
            groups = configuration.groups
            applicationProtocols = configuration.applicationProtocols
            revocation = configuration.revocation.map { $0.scope == .chain ? 2 : 1 } ?? 0
            hasKey = configuration.preSharedKey != nil
            hasKeyLog = configuration.keyLogFile != nil
        }
    }

    private struct Weak { weak var settings: TLSSettings? }

    private static let shared = Mutex<[Key: Weak]>([:])

    /// Those of a configuration; earlier ones if somebody still uses them. Throws ``MQTTError/Code/tlsConfiguration``.
    static func settings(
        of configuration: TLSConfiguration, for record: UnsafePointer<cmq_tls>
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

    private init(_ configuration: TLSConfiguration, _ record: UnsafePointer<cmq_tls>) throws(MQTTError) {
        guard let pointer = cmq_ctx_new(record) else { throw TLSContext.failure("OpenSSL could not make a context") }
        self.pointer = pointer
        try setProtocol(configuration)
    }

    deinit { SSL_CTX_free(pointer) }

    private func setProtocol(_ configuration: TLSConfiguration) throws(MQTTError) {
        let maximum = configuration.maximumVersion?.number ?? 0
        guard cmq_ctx_set_versions(pointer, configuration.minimumVersion.number, maximum) == 1 else {
            throw TLSContext.failure("OpenSSL does not have these versions")
        }
        // With a pre-shared key, those ciphers that use one; some have no encryption.
        let ciphers =
            configuration.ciphers ?? (configuration.preSharedKey == nil ? nil : "kECDHEPSK:kDHEPSK:kPSK:!eNULL")
        if let ciphers, SSL_CTX_set_cipher_list(pointer, ciphers) != 1 {
            throw TLSContext.failure("ciphers \(quoted(ciphers)): OpenSSL has none of them")
        }
        if let suites = configuration.cipherSuites, SSL_CTX_set_ciphersuites(pointer, suites) != 1 {
            throw TLSContext.failure("cipherSuites \(quoted(suites)): OpenSSL does not have one of them")
        }
        if let groups = configuration.groups, cmq_ctx_set_groups(pointer, groups) != 1 {
            throw TLSContext.failure("groups \(quoted(groups)): OpenSSL does not have one of them")
        }
        let protocols = configuration.applicationProtocols.flatMap { [UInt8($0.utf8.count)] + $0.utf8 }
        // This one's success is 0.
        if !protocols.isEmpty, SSL_CTX_set_alpn_protos(pointer, protocols, UInt32(protocols.count)) != 0 {
            throw TLSContext.failure("applicationProtocols cannot be set")
        }
        if let revocation = configuration.revocation {
            let all = revocation.scope == .chain ? X509_V_FLAG_CRL_CHECK_ALL : 0
            X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(pointer), UInt(X509_V_FLAG_CRL_CHECK | all))
        }
    }
}

extension TLSConfiguration.Version {
    fileprivate var number: Int32 {
        switch self {
        case .v1_2: TLS1_2_VERSION
        case .v1_3: TLS1_3_VERSION
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

/// The material of a ``MQTTTLSConfiguration`` for one attempt: its providers have been asked, and its files were
/// stamped, but not read.
struct TLSMaterial: Sendable {
    var trust: [MQTTTLSConfiguration.Trust.Source]
    var revocationLists: [MQTTTLSConfiguration.Revocation.List]
    var identity: MQTTTLSConfiguration.Identity.Source?
    /// A closure that returns the passphrase of the identity's key.
    var passphrase: MQTTTLSConfiguration.Identity.Passphrase?
    /// The stamps of the files of trust and revocation, taken before the files are read, so that a change meanwhile is
    /// noticed.
    let trustStamps: [FileStamp]
    let identityStamps: [FileStamp]

    /// Asks the providers. Throws ``MQTTError/Code/credentials`` if one fails, and ``MQTTError/Code/timeout`` if a file
    /// system does not respond.
    init(_ configuration: MQTTTLSConfiguration) async throws(MQTTError) {
        if configuration.preSharedKey == nil {
            trust = try await Self.sources(of: configuration.trust)
        } else {
            trust = []
        }
        revocationLists = configuration.revocation?.lists ?? []
        if let identity = configuration.identity, configuration.preSharedKey == nil {
            let given = try await Self.given(by: identity)
            self.identity = given.source
            passphrase = given.passphrase
        }
        trustStamps = try await Self.stamps(trust.compactMap(\.path) + revocationLists.compactMap(\.path))
        identityStamps = try await Self.stamps(identity?.paths ?? [])
    }

    private static func stamps(_ paths: [String]) async throws(MQTTError) -> [FileStamp] {
        var stamps: [FileStamp] = []
        for path in paths { stamps.append(try await TLSFile.stamp(path)) }
        return stamps
    }

    func hasSameTrust(as other: TLSMaterial) -> Bool {
        trust == other.trust && revocationLists == other.revocationLists && trustStamps == other.trustStamps
    }

    func hasSameIdentity(as other: TLSMaterial) -> Bool {
        identity == other.identity && identityStamps == other.identityStamps
    }

    /// Asks for the passphrase. Returns `nil` if there is no closure for it.
    func askForPassphrase() async throws(MQTTError) -> MQTTSecret? {
        guard let passphrase else { return nil }
        return try await Self.ask("passphrase of the client's key", passphrase)
    }

    // MARK: Providers

    private static func sources(
        of trust: MQTTTLSConfiguration.Trust
    ) async throws(MQTTError) -> [MQTTTLSConfiguration.Trust.Source] {
        var sources: [MQTTTLSConfiguration.Trust.Source] = []
        for part in trust.parts {
            switch part {
            case .source(let source): sources.append(source)
            case .provider(let provide):
                for part in try await ask("trust", provide).parts {
                    guard case .source(let source) = part else { throw nested }
                    sources.append(source)
                }
            }
        }
        return sources
    }

    private typealias Given = (
        source: MQTTTLSConfiguration.Identity.Source, passphrase: MQTTTLSConfiguration.Identity.Passphrase?
    )

    private static func given(by identity: MQTTTLSConfiguration.Identity) async throws(MQTTError) -> Given {
        switch identity.content {
        case .source(let source): return (source, identity.passphrase)
        case .provider(let provide):
            let given = try await ask("identity", provide)
            guard case .source(let source) = given.content else { throw nested }
            return (source, given.passphrase)
        }
    }

    private static func ask<Answer>(
        _ what: String, _ provide: @Sendable () async throws -> Answer
    ) async throws(MQTTError) -> Answer {
        do {
            return try await provide()
        } catch {
            throw MQTTError.providerFailure(error, of: "TLS \(what) provider")
        }
    }

    private static var nested: MQTTError {
        MQTTError(.credentials, "a TLS provider gave another provider; give what that one would give")
    }
}

extension MQTTTLSConfiguration.Trust.Source {
    fileprivate var path: String? {
        switch self {
        case .system: FileStamp.systemTrust
        case .file(let path), .directory(let path): path
        case .bytes: nil
        }
    }
}

extension MQTTTLSConfiguration.Revocation.List {
    fileprivate var path: String? { if case .file(let path) = self { path } else { nil } }
}

extension MQTTTLSConfiguration.Identity.Source {
    var paths: [String] {
        switch self {
        case .files(let certificate, let key): [certificate, key]
        case .pkcs12File(let path): [path]
        case .stored(let certificate, _, _): [certificate]
        case .bytes, .pkcs12: []
        }
    }
}

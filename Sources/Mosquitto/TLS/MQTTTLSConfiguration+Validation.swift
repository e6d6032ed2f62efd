// SPDX-License-Identifier: Apache-2.0

extension MQTTTLSConfiguration {
    /// Throws for errors that can be found without reading a file. Values that only OpenSSL can check, such as cipher
    /// names, are checked at the first attempt, before any I/O.
    func validate() throws(MQTTError) {
        for path in paths {
            // The text is not quoted: it may be a private key.
            if path.contains("-----BEGIN") {
                throw Self.invalid("a file was named by its content; give a path, or use .pem")
            }
            // Nor is the URI of a key, which may have a PIN (RFC 7512, section 2.3).
            if path.lowercased().hasPrefix("pkcs11:") {
                throw Self.invalid("a file was named by the URI of a key; use .stored(certificate:keyURI:)")
            }
            if path.isEmpty || path.utf8.contains(0) { throw Self.invalid("\(quoted(path)) is not a file") }
        }
        if let maximumVersion, maximumVersion < minimumVersion {
            throw Self.invalid("maximumVersion is below minimumVersion; no version is left")
        }
        var names = [serverName]
        if case .name(let name) = serverNameIndication { names.append(name) }
        for name in names {
            if let name, !(1...255).contains(name.utf8.count) || name.utf8.contains(0) {
                throw Self.invalid("\(quoted(name)) is not a server name")
            }
            // OpenSSL would take the name for a pattern that matches any name below the domain.
            if let name, name.hasPrefix(".") {
                throw Self.invalid("\(quoted(name)) is not a server name: it begins with a dot")
            }
        }
        for name in applicationProtocols where !(1...255).contains(name.utf8.count) {
            throw Self.invalid(
                "application protocol \(quoted(name)) has \(name.utf8.count) bytes; 1 to 255 are allowed")
        }
        for list in [ciphers, cipherSuites, groups] {
            if let list, list.isEmpty || list.utf8.contains(0) {
                throw Self.invalid("\(quoted(list)) names no ciphers or groups; leave nil for OpenSSL's own choice")
            }
        }
        if requiresPostQuantum { try validatePostQuantum() }
        if maximumSessionAge < .zero { throw Self.invalid("maximumSessionAge is negative") }
        try validateChecks()
        try preSharedKey?.validate()
    }

    private func validatePostQuantum() throws(MQTTError) {
        if maximumVersion == .v1_2 {
            throw Self.invalid("requiresPostQuantum needs TLS 1.3; maximumVersion is TLS 1.2")
        }
        // OpenSSL's syntax: `:` and `/` separate names; `?`, `*` and `-` may precede one.
        for part in groups?.split(whereSeparator: { ":/".contains($0) }) ?? [] {
            let name = String(part.drop { "?*-".contains($0) })
            if name.isEmpty || PostQuantum.isGroup(name) { continue }
            throw Self.invalid("requiresPostQuantum, but groups has \(quoted(name)), which is no post-quantum group")
        }
    }

    private func validateChecks() throws(MQTTError) {
        if trust.parts.isEmpty, verification != .none, preSharedKey == nil {
            throw Self.invalid("trust is empty: no broker would be trusted; leave .system, or name authorities")
        }
        if let revocation, revocation.lists.isEmpty {
            throw Self.invalid("revocation has no list; name one, or leave nil for no check")
        }
        if verification == .none, revocation != nil || requiresOCSPStaple {
            throw Self.invalid("revocation and requiresOCSPStaple need a verified chain; verification is .none")
        }
        guard preSharedKey != nil else { return }
        let needsCertificate = identity != nil || revocation != nil || requiresOCSPStaple || !pins.isEmpty
        if needsCertificate || customVerification != nil || verification != .full {
            throw Self.invalid(
                "with a pre-shared key there are no certificates to show, pin or check; set one or the other")
        }
    }

    /// True if sessions are kept for the next connection.
    var isResuming: Bool {
        // A resumption brings no new OCSP response (RFC 6066, section 8), and does not call `customVerification`.
        (resumesSessions ?? (customVerification == nil)) && !requiresOCSPStaple && maximumSessionAge > .zero
    }

    /// The security level that `ciphers` sets, if it is below the usual one.
    var lowSecurityLevel: Int? {
        guard let list = ciphers, let mark = list.ranges(of: "@SECLEVEL=").last else { return nil }
        return list[mark.upperBound...].first.flatMap(\.wholeNumberValue).flatMap {
            $0 < TLSSettings.securityLevel ? $0 : nil
        }
    }

    private var paths: [String] {
        var paths: [String] = []
        for case .source(let source) in trust.parts {
            switch source {
            case .file(let path), .directory(let path): paths.append(path)
            case .system, .bytes: break
            }
        }
        if case .source(let source)? = identity?.content { paths += source.paths }
        for case .file(let path) in revocation?.lists ?? [] { paths.append(path) }
        if let keyLogFile { paths.append(keyLogFile) }
        return paths
    }

    fileprivate static func invalid(_ message: String) -> MQTTError {
        .invalid(.invalidConfiguration, "TLS: " + message)
    }
}

extension MQTTTLSConfiguration.PreSharedKey {
    static let shortestKey = 16

    fileprivate func validate() throws(MQTTError) {
        if !(1...255).contains(identity.utf8.count) || identity.utf8.contains(0) {
            throw MQTTTLSConfiguration.invalid(
                "the identity of a pre-shared key has \(identity.utf8.count) bytes; 1 to 255 without NUL are allowed")
        }
        // An attacker who has seen a handshake can guess a short key offline (RFC 9257, section 4.2).
        if !(Self.shortestKey...256).contains(key.count) {
            throw MQTTTLSConfiguration.invalid(
                "a pre-shared key has \(key.count) bytes; \(Self.shortestKey) to 256 are allowed")
        }
    }

    /// Decodes hexadecimal digits. Returns `nil` for any other text.
    static func bytes(hexadecimal text: String) -> [UInt8]? {
        let digits = text.utf8.compactMap { Character(UnicodeScalar($0)).hexDigitValue }
        guard digits.count == text.utf8.count, digits.count.isMultiple(of: 2) else { return nil }
        return stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
    }
}

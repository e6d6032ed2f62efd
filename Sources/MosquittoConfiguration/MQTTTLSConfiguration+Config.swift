// SPDX-License-Identifier: Apache-2.0

import Mosquitto

extension MQTTTLSConfiguration {
    /// Returns `nil` if TLS is disabled. The client reads the named files when it connects.
    static func configured(by keys: KeyReader) throws(MQTTError) -> MQTTTLSConfiguration? {
        if try keys.bool("enabled") == false { return nil }
        var tls = MQTTTLSConfiguration()
        try tls.readTrust(keys)
        try tls.readIdentity(keys)
        try tls.readProtocol(keys)
        return tls
    }

    private mutating func readTrust(_ keys: KeyReader) throws(MQTTError) {
        var sources: [Trust] = try keys.nonEmpty("trustFiles").map { .file($0) }
        sources += try keys.nonEmpty("trustDirectories").map { .directory($0) }
        // Configured authorities replace the system's, unless both are requested.
        if try keys.bool("trustSystem") ?? sources.isEmpty { sources.append(.system) }
        trust = Self.union(sources)
        if let value = try keys.choice(
            "verification",
            ["full": Verification.full, "withoutHostName": .withoutHostName, "none": Verification.none])
        {
            verification = value
        }
        serverName = try keys.string("serverName")
        if let value = try keys.bool("acceptsCommonName") { acceptsCommonName = value }
        for text in try keys.nonEmpty("pins") {
            do throws(MQTTError) {
                pins.insert(try MQTTTLSPublicKeyPin(text))
            } catch {
                throw keys.error("pins", "has a wrong entry: \(error.message)")
            }
        }
        let scope = try keys.choice("revocationScope", ["broker": Revocation.Scope.broker, "chain": .chain])
        if let files = try keys.strings("revocationFiles") {
            var lists = Revocation(scope: scope ?? .broker)
            lists.lists = files.map { .file($0) }
            revocation = lists
        } else if scope != nil {
            throw keys.error("revocationScope", "needs \(keys.name("revocationFiles"))")
        }
        if let value = try keys.bool("requiresOcspStaple") { requiresOCSPStaple = value }
    }

    private static func union(_ sources: [Trust]) -> Trust {
        switch sources.count {
        case 1: sources[0]
        case 2: [sources[0], sources[1]]
        default: sources.reduce([]) { [$0, $1] }
        }
    }

    private mutating func readIdentity(_ keys: KeyReader) throws(MQTTError) {
        let certificate = try keys.string("certificateFile")
        let keyFile = try keys.string("keyFile")
        // It may have a PIN.
        let keyURI = try keys.string("keyUri", isSecret: true)
        let engine = try keys.string("keyEngine")
        let pkcs12 = try keys.string("pkcs12")
        let passphrase = try keys.secret("keyPassphrase").map { secret -> Identity.Passphrase in { secret } }
        switch (certificate, keyFile, keyURI, pkcs12) {
        case (nil, nil, nil, nil): break
        case (let certificate?, let keyFile?, nil, nil):
            identity = .files(certificate: certificate, key: keyFile, passphrase: passphrase)
        case (let certificate?, nil, let uri?, nil):
            identity = .stored(certificate: certificate, keyURI: uri, engine: engine, passphrase: passphrase)
        case (nil, nil, nil, let file?): identity = .pkcs12(file: file, passphrase: passphrase)
        default:
            throw keys.error(
                "certificateFile",
                "goes with one of \(keys.name("keyFile")) and \(keys.name("keyUri")), and without \(keys.name("pkcs12"))"
            )
        }
        let psk = keys.scoped(to: "psk")
        let name = try psk.string("identity")
        let digits = try psk.string("key", isSecret: true)
        switch (name, digits) {
        case (nil, nil): break
        case (let name?, let digits?):
            do throws(MQTTError) {
                preSharedKey = try PreSharedKey(identity: name, hexadecimalKey: digits)
            } catch {
                throw psk.error("key", "is not an even number of hexadecimal digits")
            }
        default: throw psk.error(name == nil ? "identity" : "key", "is missing; the other one is there")
        }
    }

    private mutating func readProtocol(_ keys: KeyReader) throws(MQTTError) {
        let versions: KeyValuePairs<String, Version> = ["1.2": .v1_2, "1.3": .v1_3]
        if let value = try keys.choice("minimumVersion", versions) { minimumVersion = value }
        maximumVersion = try keys.choice("maximumVersion", versions)
        ciphers = try keys.string("ciphers")
        cipherSuites = try keys.string("cipherSuites")
        groups = try keys.string("groups")
        if let value = try keys.bool("requiresPostQuantum") { requiresPostQuantum = value }
        if let value = try keys.strings("applicationProtocols") { applicationProtocols = value }
        switch try keys.string("serverNameIndication") {
        case nil, "automatic": break
        case "none": serverNameIndication = .none
        case let name?: serverNameIndication = .name(name)
        }
        resumesSessions = try keys.bool("resumesSessions")
        if let value = try keys.seconds("maximumSessionAge") { maximumSessionAge = value }
        if let value = try keys.bool("reconnectsAtCertificateExpiry") { reconnectsAtCertificateExpiry = value }
        keyLogFile = try keys.string("keyLogFile")
    }
}

extension KeyReader {
    /// Reads a list that must not be empty if it is there: an empty one, of a template whose values are missing, would
    /// trust or pin something else than its author meant. Returns an empty list if there is none.
    fileprivate func nonEmpty(_ key: String) throws(MQTTError) -> [String] {
        guard let list = try strings(key) else { return [] }
        if list.isEmpty || list.contains("") { throw error(key, "is an empty list; leave it out, or fill it") }
        return list
    }
}

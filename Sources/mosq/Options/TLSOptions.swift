// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Mosquitto

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// TLS, which any of the files, a pre-shared key, or port 8883 turns on.
struct TLSOptions: ParsableArguments {
    @Option(
        name: .customLong("cafile"), parsing: .unconditional,
        help: "A file with the certificate authorities to trust, PEM or DER.")
    var cafile: String?

    @Option(
        name: .customLong("capath"), parsing: .unconditional,
        help: "A directory of certificate authorities to trust, with the hashed names of \"openssl rehash\".")
    var capath: String?

    @Option(name: .customLong("cert"), parsing: .unconditional, help: "The client certificate, PEM or DER.")
    var certificate: String?

    @Option(
        name: .customLong("key"), parsing: .unconditional,
        help:
            "The client certificate's private key, PEM or DER; with --keyform engine its name in the engine, with --keyform uri, and if it begins with pkcs11:, its URI."
    )
    var key: String?

    @Option(name: .long, parsing: .unconditional, help: "The form of --key: pem, engine, or uri.")
    var keyform: String?

    @Option(
        name: .customLong("tls-engine"), parsing: .unconditional, help: "The OpenSSL engine that has the key.")
    var engine: String?

    @Flag(name: .customLong("tls-use-os-certs"), help: "Trust the system's certificate authorities.")
    var useSystemTrust = false

    @Flag(
        name: .long,
        help:
            "Do not verify the broker's host name: any certificate of a trusted authority is accepted. For tests only.")
    var insecure = false

    @Option(
        name: .customLong("tls-server-name"), parsing: .unconditional,
        help: "The name that the broker's certificate must have, and that SNI asks for. Default: the host.")
    var serverName: String?

    @Flag(
        name: .customLong("tls-accept-common-name"),
        help: "Accept a broker's certificate that has the host in its common name only, as mosquitto's commands do.")
    var acceptsCommonName = false

    @Option(
        name: .customLong("tls-version"), parsing: .unconditional,
        help: "The lowest version that is accepted: tlsv1.2 (the default) or tlsv1.3.")
    var version: String?

    @Option(name: .long, parsing: .unconditional, help: "The ciphers of TLS 1.2, in OpenSSL's language.")
    var ciphers: String?

    @Flag(
        name: .customLong("tls-post-quantum"),
        help: "Accept no key exchange but a post-quantum one (ML-KEM), which needs OpenSSL 3.5 on both sides.")
    var requiresPostQuantum = false

    @Option(
        name: .customLong("tls-alpn"), parsing: .unconditional, help: "The application protocol to offer, such as mqtt."
    )
    var applicationProtocol: String?

    @Option(
        name: .customLong("psk"), parsing: .unconditional,
        help: "A pre-shared key in hexadecimal digits, instead of certificates.")
    var preSharedKey: String?

    @Option(
        name: .customLong("psk-file"), parsing: .unconditional,
        help: "A file with the pre-shared key in hexadecimal digits, which no list of processes shows.")
    var preSharedKeyFile: String?

    @Option(name: .customLong("psk-identity"), parsing: .unconditional, help: "The name of the pre-shared key.")
    var preSharedKeyIdentity: String?

    @Option(
        name: .customLong("tls-keylog"), parsing: .unconditional,
        help: "A file to append the connection's secrets to, for Wireshark. For debugging only.")
    var keyLogFile: String?

    @Flag(name: .customLong("no-tls"), help: "No TLS, whatever the port is.")
    var noTLS = false

    /// `--tls-use-os-certs` alone does not change it, as with mosquitto's commands.
    var defaultPort: Int {
        // As documented for mosquitto's commands, whose code leaves --cert and --key out.
        [cafile, capath, certificate, key, preSharedKey, preSharedKeyFile].contains { $0 != nil } ? 8_883 : 1_883
    }

    /// - Parameter port: as given. mosquitto's commands take 8883 for TLS with the system's trust.
    func configuration(port: Int?) throws -> MQTTTLSConfiguration? {
        try check()
        let minimumVersion = try minimumVersion()
        let turnsOn = [cafile, capath, certificate, preSharedKey, preSharedKeyFile].contains { $0 != nil }
        if noTLS, turnsOn || useSystemTrust {
            throw CommandFailure.usage("--no-tls and the flags of TLS exclude each other.")
        }
        guard turnsOn || useSystemTrust || port == 8_883, !noTLS else {
            try refuseIdleFlags()
            return nil
        }
        var tls = MQTTTLSConfiguration(trust: trust)
        tls.identity = try identity()
        tls.serverName = serverName
        tls.acceptsCommonName = acceptsCommonName
        tls.minimumVersion = minimumVersion
        tls.ciphers = ciphers
        tls.requiresPostQuantum = requiresPostQuantum
        tls.applicationProtocols = applicationProtocol.map { [$0] } ?? []
        tls.keyLogFile = keyLogFile
        if hasPreSharedKey, let preSharedKeyIdentity {
            let digits = try preSharedKeyDigits()
            do {
                tls.preSharedKey = try .init(identity: preSharedKeyIdentity, hexadecimalKey: digits)
            } catch {
                throw CommandFailure(message: "Problem setting TLS-PSK options.")
            }
        } else if insecure {
            tls.verification = .withoutHostName
        }
        return tls
    }

    /// Throws if an endpoint has the port of TLS, and nothing turns it on: all endpoints are spoken to in the same way.
    func refusePlainMix(_ configuration: MQTTClientConfiguration) throws {
        guard configuration.tls == nil, !noTLS else { return }
        guard let endpoint = configuration.endpoints.first(where: { $0.port == 8_883 }) else { return }
        throw CommandFailure.usage(
            "\(endpoint) is a port of TLS, which is off: give --cafile or --tls-use-os-certs, or --no-tls.")
    }

    /// Throws for flags that would do nothing: who gives one of them believes that TLS is on.
    private func refuseIdleFlags() throws {
        let flags = [
            ("--insecure", insecure), ("--tls-version", version != nil), ("--ciphers", ciphers != nil),
            ("--tls-alpn", applicationProtocol != nil), ("--tls-keylog", keyLogFile != nil),
            ("--tls-engine", engine != nil), ("--keyform", keyform != nil),
            ("--psk-identity", preSharedKeyIdentity != nil), ("--tls-server-name", serverName != nil),
            ("--tls-accept-common-name", acceptsCommonName), ("--tls-post-quantum", requiresPostQuantum),
        ]
        guard let flag = flags.first(where: \.1)?.0 else { return }
        throw CommandFailure.usage(
            noTLS
                ? "--no-tls and \(flag) exclude each other."
                : "\(flag) needs TLS: give --cafile, --capath, --tls-use-os-certs, --cert or --psk, or -p 8883.")
    }

    /// Throws the error of mosquitto's commands for flags that contradict each other and for unreadable files.
    private func check() throws {
        let complaints: [(Bool, String)] = [
            ((certificate == nil) != (key == nil), "Both certfile and keyfile must be provided if one of them is set."),
            (keyform != nil && key == nil, "If keyform is set, keyfile must be also specified."),
            (
                hasPreSharedKey && (cafile != nil || capath != nil),
                "Only one of --psk or --cafile/--capath may be used at once."
            ),
            (preSharedKey != nil && preSharedKeyFile != nil, "Only one of --psk and --psk-file may be used."),
            (hasPreSharedKey && preSharedKeyIdentity == nil, "--psk-identity required if --psk used."),
            (
                keyform.map { !["pem", "engine", "uri"].contains($0) } ?? false,
                "Problem setting key form, it must be one of 'pem', 'engine' or 'uri'."
            ),
            (keyform == "engine" && engine == nil, "--keyform engine needs --tls-engine, the engine that has the key."),
        ]
        if let complaint = complaints.first(where: \.0) { throw CommandFailure.usage(complaint.1) }
        let files = [
            ("--cafile", cafile), ("--capath", capath), ("--cert", certificate),
            ("--key", keyform == "engine" || hasKeyURI ? nil : key),
        ]
        for case (let flag, let path?) in files where !FileManager.default.isReadableFile(atPath: path) {
            // It may have a PIN.
            if path.lowercased().hasPrefix("pkcs11:") {
                throw CommandFailure.usage("\(flag) has a URI, which needs --keyform uri or engine.")
            }
            let fault = FileManager.default.fileExists(atPath: path) ? "File not readable" : "File not found"
            throw CommandFailure(message: "Problem setting TLS options: \(fault): \(flag) \(path)")
        }
    }

    private var trust: MQTTTLSConfiguration.Trust {
        switch (cafile, capath) {
        case (let file?, let directory?): [.file(file), .directory(directory)]
        case (let file?, nil): .file(file)
        case (nil, let directory?): .directory(directory)
        case (nil, nil): .system
        }
    }

    /// True if a provider of OpenSSL has the key.
    private var hasKeyURI: Bool { keyform == "uri" || keyform == nil && key?.lowercased().hasPrefix("pkcs11:") == true }

    private var hasPreSharedKey: Bool { preSharedKey != nil || preSharedKeyFile != nil }

    private func preSharedKeyDigits() throws -> String {
        if let preSharedKey { return preSharedKey }
        guard let path = preSharedKeyFile else { return "" }
        do throws(FileFailure) {
            return try FileReader.content(of: path, limit: 1_024).text.filter { !$0.isWhitespace }
        } catch {
            throw CommandFailure(message: "--psk-file \(error.reason).")
        }
    }

    private func identity() throws -> MQTTTLSConfiguration.Identity? {
        guard let certificate, let key else { return nil }
        if keyform == "engine" {
            return .stored(certificate: certificate, keyURI: key, engine: engine)
        }
        if hasKeyURI {
            // Only the provider knows whether the key has a PIN.
            let prompt = PINPrompt()
            return .stored(certificate: certificate, keyURI: key) { try await prompt.answer() }
        }
        guard isEncrypted(key) else { return .files(certificate: certificate, key: key) }
        // Asks for the passphrase now, before a deadline runs.
        let passphrase = try Terminal.readSecret(prompt: "Enter PEM pass phrase:")
        return .files(certificate: certificate, key: key) { passphrase }
    }

    /// True for an encrypted PEM key: the label of PKCS #8, or a header of the older format, shows it.
    private func isEncrypted(_ path: String) -> Bool {
        guard let content = try? FileReader.content(of: path, limit: 65_536) else { return false }
        return content.withBytes { bytes in
            ["BEGIN ENCRYPTED PRIVATE KEY", "Proc-Type: 4,ENCRYPTED"].contains { mark in
                bytes.firstRange(of: mark.utf8) != nil
            }
        }
    }

    private func minimumVersion() throws -> MQTTTLSConfiguration.Version {
        switch version {
        case nil, "tlsv1.2": .v1_2
        case "tlsv1.3": .v1_3
        case "tlsv1.1", "tlsv1":
            throw CommandFailure(message: "TLS 1.2 is the minimum; older ones are broken (RFC 8996).")
        case let other?: throw CommandFailure(message: "Invalid TLS version \(other): it must be tlsv1.2 or tlsv1.3.")
        }
    }
}

extension TLSOptions: ReadableArguments {
    mutating func read(_ words: inout ArgumentReader) {
        cafile = words.text("--cafile")
        capath = words.text("--capath")
        certificate = words.text("--cert")
        key = words.text("--key")
        keyform = words.text("--keyform")
        engine = words.text("--tls-engine")
        useSystemTrust = words.flag("--tls-use-os-certs")
        insecure = words.flag("--insecure")
        serverName = words.text("--tls-server-name")
        acceptsCommonName = words.flag("--tls-accept-common-name")
        version = words.text("--tls-version")
        ciphers = words.text("--ciphers")
        requiresPostQuantum = words.flag("--tls-post-quantum")
        applicationProtocol = words.text("--tls-alpn")
        preSharedKey = words.text("--psk")
        preSharedKeyFile = words.text("--psk-file")
        preSharedKeyIdentity = words.text("--psk-identity")
        keyLogFile = words.text("--tls-keylog")
        noTLS = words.flag("--no-tls")
    }
}

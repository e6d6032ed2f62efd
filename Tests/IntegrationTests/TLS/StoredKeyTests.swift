// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
import Foundation
import Mosquitto
import Testing

@testable import MosquittoTesting

extension TLSTests {
    /// In a process of its own: the engine asks the environment for the token, and stays loaded.
    @Suite(
        "A client key in a PKCS #11 token", .serialized,
        .enabled(if: SoftToken.hasEngine, "OpenSSL's engine for PKCS #11 is not installed: this release may have none"))
    struct StoredKeyTests {
        @Test func `is used where its PIN is right`() async {
            await #expect(processExitsWith: .success) {
                try await Certificates.with { certificates in
                    try await SoftToken.make(of: ["client-ecdsa", "client-rsa2048"], certificates)
                    for name in ["client-ecdsa", "client-rsa2048"] {
                        let uri = "pkcs11:token=mqtt;object=\(name)"
                        for version in [TLSVersion.v1_2, .v1_3] {
                            try await SoftToken.row(name, uri, pin: "1234", .connects()).check(version)
                            let row = MosquittoRow(
                                name, broker: MosquittoRow.strict, version, .connects(), brokerSays: "u'\(name)'",
                                client: SoftToken.client(name, uri, pin: "1234"))
                            try await row.check(.v5_0)
                        }
                        try await SoftToken.row(name, uri + ";pin-value=1234", .connects()).check(.v1_3)
                    }
                }
            }
        }

        @Test func `cannot be used without the right PIN, or where there is none`() async {
            await #expect(processExitsWith: .success) {
                try await Certificates.with { certificates in
                    try await SoftToken.make(of: ["client-ecdsa", "client-rsa2048"], certificates)
                    let key = #"the stored key of engine "pkcs11""#
                    let pair = #" cannot be used with certificate file "client-ecdsa.pem": "#
                    // libp11 0.4.21 gives one reason for three of them.
                    let vague = OpenSSLVersion.isAtLeast(3, 6) ? key + pair + "could not load the shared library" : nil
                    let rows: [(object: String, pin: MQTTSecret?, message: String)] = [
                        ("client-ecdsa", "4321", vague ?? key + " is encrypted, and the passphrase does not fit"),
                        ("client-ecdsa", nil, key + " is encrypted, and there is no passphrase for it"),
                        ("nothing", "1234", vague ?? key + pair + "object not found"),
                        ("client-rsa2048", "1234", vague ?? key + pair + "key type mismatch"),
                    ]
                    for (object, pin, message) in rows {
                        let uri = "pkcs11:token=mqtt;object=\(object)"
                        try await SoftToken.row("client-ecdsa", uri, pin: pin, .misconfigured(message)).check(.v1_3)
                    }
                }
            }
        }
    }
}

/// A token in software (SoftHSM).
enum SoftToken {
    struct NotMade: Error {
        var log: String
    }

    /// True if OpenSSL's engine for tokens is there (libengine-pkcs11-openssl).
    static var hasEngine: Bool {
        let folder = "/usr/lib/x86_64-linux-gnu".replacing("x86_64", with: architecture)
        return FileManager.default.fileExists(atPath: "\(folder)/engines-3/pkcs11.so")
    }

    private static var architecture: String {
        #if arch(arm64)
        "aarch64"
        #else
        "x86_64"
        #endif
    }

    /// Makes a token "mqtt", whose PIN is 1234, with these keys, for engines of this process. Returns the path of its
    /// configuration.
    @discardableResult
    static func make(of names: [String], _ certificates: Certificates) async throws -> String {
        let directory = certificates.path("tokens")
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: false)
        let configuration = try certificates.directory.write(
            "directories.tokendir = \(directory)\nobjectstore.backend = file\n", to: "softhsm.conf")
        setenv("SOFTHSM2_CONF", configuration, 1)
        setenv("PKCS11_MODULE_PATH", "/usr/lib/softhsm/libsofthsm2.so", 1)
        try await run("--init-token --free --label mqtt --pin 1234 --so-pin 1234", certificates)
        for (index, name) in names.enumerated() {
            let key = certificates.path("\(name).key")
            try await run("--import \(key) --token mqtt --label \(name) --id 0\(index) --pin 1234", certificates)
        }
        return configuration
    }

    static func row(_ name: String, _ uri: String, pin: MQTTSecret? = nil, _ expected: TLSExpectation) -> TLSRow {
        TLSRow(
            uri, server: showing("server-ecdsa", "-CAfile root.pem -Verify 2 -verify_return_error"), expected,
            client: client(name, uri, pin: pin))
    }

    static func client(_ name: String, _ uri: String, pin: MQTTSecret?) -> TLSRow.Client {
        { tls, certificates in
            tls.identity = .stored(
                certificate: certificates.path("\(name).pem"), keyURI: uri, engine: "pkcs11",
                passphrase: pin.map { pin in { @Sendable in pin } })
        }
    }

    private static func run(_ arguments: String, _ certificates: Certificates) async throws {
        let log = certificates.path("softhsm.log")
        let process = try ChildProcess(
            executable: "/usr/bin/softhsm2-util", arguments: arguments.split(separator: " ").map(String.init), log: log)
        let hasEnded = await eventually { !process.isRunning }
        let text = try String(contentsOfFile: log, encoding: .utf8)
        if !hasEnded || text.contains("ERROR") { throw NotMade(log: text) }
    }
}
#endif

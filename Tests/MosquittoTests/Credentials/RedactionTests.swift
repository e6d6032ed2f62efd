// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing
import Turns

@testable import Mosquitto

@Suite(.turn(.units)) struct `A secret` {
    private static let text = "s3cr3t"

    /// Every way in which a value can become text and show its secret by accident.
    private func texts(_ value: Any) -> [String] {
        var dumped = ""
        dump(value, to: &dumped)
        return [
            "\(value)", String(describing: value), String(reflecting: value), dumped,
            "\(Mirror(reflecting: value).children.map { $0 })",
        ]
    }

    private func expectHidden(_ value: Any, sourceLocation: SourceLocation = #_sourceLocation) {
        for text in texts(value) { #expect(!text.contains(Self.text), sourceLocation: sourceLocation) }
    }

    @Test func `does not show`() {
        let secret = MQTTSecret(Self.text)
        #expect(secret.text == Self.text)
        #expect("\(secret)" == "redacted")
        expectHidden(secret)
        expectHidden([secret])
        expectHidden(Optional(secret) as Any)
        expectHidden(["password": secret])
    }

    @Test func `does not show in credentials`() {
        let credentials = MQTTCredentials(
            username: "device", password: MQTTSecret(Self.text), expiresAt: Date.distantFuture)
        #expect(credentials.description == #"MQTTCredentials(username: "device", password: redacted)"#)
        #expect(MQTTCredentials.anonymous.description == "MQTTCredentials(username: none, password: none)")
        expectHidden(credentials)
        expectHidden([credentials])
    }

    @Test func `does not show in a provider or a configuration`() {
        var configuration = MQTTClientConfiguration(host: "broker")
        configuration.credentials = .static(username: "device", password: MQTTSecret(Self.text))
        configuration.tls?.identity = .pem(certificate: "certificate", key: MQTTSecret(Self.text))
        expectHidden(configuration)
        expectHidden(configuration.credentials as Any)
    }

    @Test func `does not show in a client certificate's identity`() {
        let identity = MQTTTLSConfiguration.Identity.pem(certificate: "certificate", key: MQTTSecret(Self.text))
        #expect(identity.description == "client certificate in memory")
        expectHidden(identity)
        expectHidden(MQTTTLSConfiguration(identity: identity))
    }

    /// A URI of PKCS #11 may have a PIN (RFC 7512, section 2.4).
    @Test func `does not show in an identity of any other form`() {
        let identities: [MQTTTLSConfiguration.Identity] = [
            .stored(certificate: "client.pem", keyURI: "pkcs11:object=key?pin-value=\(Self.text)"),
            .stored(certificate: "client.pem", keyURI: "pkcs11:pin-value=\(Self.text)", engine: "pkcs11"),
            .pkcs12(MQTTSecret(Self.text)), .pkcs12(file: "client.p12") { MQTTSecret(Self.text) },
            .der(certificate: [0x30], key: MQTTSecret(Self.text)),
        ]
        for identity in identities {
            expectHidden(identity)
            var configuration = MQTTClientConfiguration(host: "broker")
            configuration.tls?.identity = identity
            expectHidden(configuration)
        }
    }

    @Test func `does not show in a client, whose authentication data it is`() {
        var configuration = MQTTClientConfiguration(host: "broker")
        configuration.credentials = .static(username: "device", password: MQTTSecret(Self.text))
        configuration.authenticator = MQTTTokenAuthenticator(method: "m")
        expectHidden(MQTTClient(configuration))
    }

    @Test func `does not show in the error of credentials that cannot be sent`() {
        for password in [Self.text + "\0", String(repeating: Self.text, count: 20_000)] {
            let error = #expect(throws: MQTTError.self) {
                try MQTTCredentials(password: MQTTSecret(password)).validate()
            }
            #expect(error?.code == .credentials)
            expectHidden(error as Any)
        }
    }

    @Test func `does not show where it is part of a URL given as the host`() {
        for host in ["mqtts://user:\(Self.text)@broker", "user:\(Self.text)@broker"] {
            let error = #expect(throws: MQTTError.self) { try MQTTClientConfiguration(host: host).validate() }
            #expect(error?.message.contains("@broker") == true)
            expectHidden(error as Any)
            expectHidden(#expect(throws: MQTTError.self) { try MQTTEndpoint(host: host, port: 0).validate() } as Any)
        }
    }
}

@Suite(.turn(.units)) struct `Credentials` {
    @Test(arguments: [
        ("a\0b", "NUL"), ("a\nb", "control character"),
        ("a\u{FFFF}b", "non-character"),
    ])
    func `with a user name that cannot be sent are refused`(username: String, reason: String) {
        let error = #expect(throws: MQTTError.self) { try MQTTCredentials(username: username).validate() }
        #expect(error?.code == .credentials)
        #expect(error?.message.contains(reason) == true)
    }

    @Test func `of the longest lengths are sent, longer ones are not`() throws {
        let longest = String(repeating: "x", count: 65_535)
        try MQTTCredentials(username: longest, password: MQTTSecret(longest)).validate()
        let error = #expect(throws: MQTTError.self) { try MQTTCredentials(username: longest + "x").validate() }
        #expect(error?.message.contains("65536 bytes") == true)
        try MQTTCredentials.anonymous.validate()
    }
}

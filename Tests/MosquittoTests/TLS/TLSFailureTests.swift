// SPDX-License-Identifier: Apache-2.0

import MosquittoTesting
import Testing
import Turns

@testable import Mosquitto

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

@Suite(.turn(.units)) struct `A TLS failure` {
    private func verification(_ code: Int32, certificate: MQTTTLSCertificate? = nil) -> MQTTTLSFailure {
        MQTTTLSFailure(
            .verification,
            verification: .init(
                code: code, text: "certificate is not yet valid", depth: 1, certificate: certificate))
    }

    @Test func `shows the check that failed, and where`() {
        #expect(
            verification(10).description
                == "certificate verification failed: certificate is not yet valid (error 10 at depth 1)")
    }

    @Test func `shows the certificate that failed`() throws {
        let identity = try TestCertificateAuthority(commonName: "some CA").serverIdentity(names: ["a.example"])
        let certificate = try #require(MQTTTLSCertificate(der: try identity.certificateDER))
        #expect(certificate.subject == "CN=a.example")
        #expect(certificate.issuer == "CN=some CA")
        #expect(
            certificate.subjectAlternativeNames.map(\.description) == [
                "DNS:a.example", "IP Address:127.0.0.1", "IP Address:0:0:0:0:0:0:0:1",
            ])
        #expect(certificate.notBefore < certificate.notAfter)
        var failure = verification(10, certificate: certificate)
        failure.verification?.depth = 0
        let text = failure.description
        #expect(text.contains("subject CN=a.example, issuer CN=some CA, valid from 20"))
        #expect(text.contains("for DNS:a.example"))
    }

    @Test func `of what is no certificate is none`() {
        #expect(MQTTTLSCertificate(der: [1, 2, 3]) == nil)
        #expect(MQTTTLSCertificate(der: []) == nil)
    }

    @Test func `of a certificate that is not yet valid asks for the clock`() {
        #expect(verification(9).remedy.contains("clock"))
    }

    @Test func `shows the broker's alert before OpenSSL's reason, and that before its own alert`() {
        let received = MQTTTLSFailure.Alert(received: true, code: 48, name: "unknown CA")
        let sent = MQTTTLSFailure.Alert(received: false, code: 70, name: "protocol version")
        #expect(
            MQTTTLSFailure(.clientCertificate, alert: received, reason: "r").description
                == "the broker sent the TLS alert unknown CA (48)")
        #expect(MQTTTLSFailure(.protocolError, alert: sent, reason: "r").description == "TLS failed: r")
        #expect(
            MQTTTLSFailure(.protocolError, alert: sent).description == "TLS failed with the alert protocol version (70)"
        )
        #expect(MQTTTLSFailure(.protocolError).description == "TLS failed")
    }

    @Test func `has one sentence of remedy, whatever it is`() {
        var failures: [MQTTTLSFailure] = [
            .init(.notTLS), .init(.tlsRequired), .init(.configuration), .init(.verification), .init(.clientCertificate),
            .init(.notPostQuantum, reason: "the key exchange was x25519"),
            .init(.protocolError, reason: "unsupported protocol"), .init(.protocolError, reason: "anything"),
        ]
        failures += (Int32(1)...100).map { verification($0) }
        for code in UInt8.min ... .max {
            let alert = MQTTTLSFailure.Alert(received: true, code: code)
            failures += [.init(.alert, alert: alert), .init(.clientCertificate, alert: alert)]
        }
        for failure in failures {
            let remedy = failure.remedy
            #expect(remedy.hasSuffix(".") && remedy.dropLast().contains(". ") == false, "\(remedy)")
            #expect(remedy.first?.isUppercase == true)
            let message = failure.error(phase: .tlsHandshake).message
            #expect(message.hasSuffix("; " + remedy.prefix(1).lowercased() + remedy.dropFirst().dropLast()))
        }
    }
}

extension TestIdentity {
    /// The first certificate's bytes.
    var certificateDER: [UInt8] {
        get throws {
            let lines = certificatePEM.split(separator: "\n").drop { !$0.hasPrefix("-----BEGIN") }.dropFirst()
            let base64 = lines.prefix { !$0.hasPrefix("-----END") }.joined()
            return Array(try #require(Data(base64Encoded: base64)))
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

import CMosquitto
import Foundation
import Testing
import Turns

@testable import Mosquitto

/// The names in certificates that an attacker has had signed.
@Suite(.turn(.units)) struct `The names of a certificate` {
    private typealias Name = MQTTTLSCertificate.AlternativeName

    /// Makes a certificate with these alternative names, each with its context-specific tag (RFC 5280, section 4.2.1.6).
    private func certificate(subject: String = "/CN=x", _ names: [(tag: UInt8, value: [UInt8])]) async throws
        -> MQTTTLSCertificate
    {
        let folder = try OpenSSLFolder()
        let content = names.flatMap { [0x80 | $0.tag] + length($0.value.count) + $0.value }
        let hex = ([0x30] + length(content.count) + content).map { String(format: "%02X", $0) }.joined()
        try folder.write(
            "[req]\ndistinguished_name=n\nx509_extensions=e\nutf8=yes\n[n]\n[e]\nsubjectAltName=DER:\(hex)\n",
            to: "c.cnf")
        try await folder.openssl(
            "req -x509 -config c.cnf -utf8 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj \(subject) -keyout k -outform der -out c.der"
        )
        return try #require(MQTTTLSCertificate(der: try folder.bytes("c.der")))
    }

    private func length(_ count: Int) -> [UInt8] {
        switch count {
        case ..<128: [UInt8(count)]
        case ..<256: [0x81, UInt8(count)]
        default: [0x82, UInt8(count >> 8), UInt8(count & 255)]
        }
    }

    /// An authority lets its clients choose a URI; CVE-2021-44532 is of this kind.
    @Test func `are as many as were signed, whatever characters they have`() async throws {
        let forged = "spiffe://corp/x\nDNS:broker.example.com"
        let certificate = try await certificate([(6, Array(forged.utf8)), (1, Array("a@b\r\nDNS:c".utf8))])
        let names = certificate.subjectAlternativeNames
        #expect(names.map(\.kind) == [.uri, .email])
        #expect(names[0].bytes == Array(forged.utf8))
        #expect(!names.contains(.dns("broker.example.com")))
        #expect(names[0].text == nil)
        #expect(names.map(\.description) == [#"URI:spiffe://corp/x\nDNS:broker.example.com"#, #"email:a@b\r\nDNS:c"#])
    }

    /// Once the text of all names was cut at 16 KiB, where the attacker wanted.
    @Test func `are not cut, however many there are`() async throws {
        let long = (0..<200).map { String(repeating: "a", count: 180) + "\($0).broker.example.com.attacker.example" }
        let names = try await certificate(long.map { (2, Array($0.utf8)) }).subjectAlternativeNames
        #expect(names == long.map { .dns($0) })
    }

    @Test func `have their kind and their bytes`() async throws {
        let names = try await certificate([
            (2, Array("broker.example.com".utf8)), (7, [192, 0, 2, 1]),
            (7, [0x20, 1] + [UInt8](repeating: 0, count: 14)),
            (6, Array("spiffe://corp/x".utf8)), (2, Array("nul\0.example".utf8)), (8, [42, 3]),
        ]).subjectAlternativeNames
        #expect(names.map(\.kind) == [.dns, .address, .address, .uri, .dns, .other])
        #expect(
            names.map(\.text) == ["broker.example.com", "192.0.2.1", "2001:0:0:0:0:0:0:0", "spiffe://corp/x", nil, nil])
        #expect(names[0] == .dns("broker.example.com") && names[3] == .uri("spiffe://corp/x"))
        #expect(names[4].bytes.count == 12)
    }

    /// Before any trust: anybody on the way can show such a certificate.
    @Test func `do not steer a terminal, and neither does the subject`() async throws {
        let evil = "a\u{9B}31m\u{85}\u{2028}\u{202E}\u{1B}]0;x\u{7}"
        let certificate = try await certificate(subject: "/CN=\(evil)", [(2, Array((evil + "\r").utf8))])
        var failure = MQTTTLSFailure(.verification)
        failure.verification = .init(code: 18, text: "self-signed certificate", depth: 0, certificate: certificate)
        let message = failure.error(phase: .tlsHandshake).message
        for text in [certificate.subject, certificate.issuer, message, "\(certificate.subjectAlternativeNames)"] {
            #expect(!text.unicodeScalars.contains(where: ForeignText.isUnprintable), "\(text.debugDescription)")
        }
        #expect(certificate.subject.contains(#"a\u{9B}31m\u{85}\u{2028}\u{202E}"#))
        #expect(message.contains("self-signed certificate"))
    }

    @Test func `take little of a message, however long they are`() async throws {
        let long = (0..<300).map { "\(String(repeating: "n", count: 60))\($0).example" }
        let certificate = try await certificate(long.map { (2, Array($0.utf8)) })
        var failure = MQTTTLSFailure(.verification)
        failure.verification = .init(code: 18, text: "self-signed certificate", depth: 0, certificate: certificate)
        #expect(failure.description.utf8.count < 2_048)
    }
}

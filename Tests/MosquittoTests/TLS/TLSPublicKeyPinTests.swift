// SPDX-License-Identifier: Apache-2.0

import Foundation
import MosquittoTesting
import Testing
import Turns

@testable import Mosquitto

@Suite(.turn(.units)) struct `A public key pin` {
    @Test(arguments: ["EC -pkeyopt ec_paramgen_curve:P-256", "RSA", "ED25519"])
    func `is what the command line in the documentation prints`(algorithm: String) async throws {
        let folder = try OpenSSLFolder()
        try await folder.makeCertificate("root")
        try await folder.makeCertificate("server", issuer: "root", key: algorithm)
        try await folder.openssl("x509 -in server.pem -pubkey -noout -out server.pub")
        try await folder.openssl("pkey -pubin -in server.pub -outform der -out server.spki")
        try await folder.openssl("dgst -sha256 -binary -out server.digest server.spki")
        try await folder.openssl("base64 -in server.digest -out server.pin")
        let text = try folder.text("server.pin").trimmingCharacters(in: .newlines)

        try await folder.openssl("x509 -in server.pem -outform der -out server.cer")
        let certificate = try #require(MQTTTLSCertificate(der: try folder.bytes("server.cer")))
        #expect(certificate.publicKeyPin == (try MQTTTLSPublicKeyPin(text)))
        #expect(certificate.publicKeyPin.sha256 == (try folder.bytes("server.digest")))
        #expect(certificate.publicKeyPin.description == "sha256/" + text)
    }

    /// The alphabet of base64 has the slash too, which is the first character of each 64th digest.
    @Test(arguments: [UInt8(0), 0xFB, 0xFC, 0xFF])
    func `is read again from its description, and as curl writes it`(first: UInt8) throws {
        let pin = try MQTTTLSPublicKeyPin(sha256: [first] + Array(repeating: 0xFF, count: 31))
        let base64 = Data(pin.sha256).base64EncodedString()
        for text in [pin.description, base64, "sha256/" + base64, "sha256//" + base64] {
            #expect((try? MQTTTLSPublicKeyPin(text)) == pin, "\(text)")
        }
    }

    @Test(arguments: [
        "", "sha256/", "sha256//", "sha256///", "sha1/2jmj7l5rSw0yVb/vlWAYkK/YBwk=",
        "sha256/2jmj7l5rSw0yVb/vlWAYkK/YBwk=", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU",
        "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU=", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU= ",
        "sha256/ 47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "sha256/é",
    ])
    func `is 32 bytes in base64`(text: String) {
        let error = #expect(throws: MQTTError.self) { try MQTTTLSPublicKeyPin(text) }
        #expect(error?.code == .invalidConfiguration)
        #expect(
            error?.message == "TLS: \(quoted(text)) is not a public key pin; give the base64 of a SHA-256 digest")
    }

    @Test(arguments: [0, 20, 31, 33, 64]) func `is 32 bytes`(count: Int) {
        let error = #expect(throws: MQTTError.self) {
            try MQTTTLSPublicKeyPin(sha256: Array(repeating: 0, count: count))
        }
        #expect(error?.code == .invalidConfiguration)
        #expect(error?.message == "TLS: a public key pin has \(count) bytes; a SHA-256 digest has 32")
    }
}

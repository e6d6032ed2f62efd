// SPDX-License-Identifier: Apache-2.0

import Foundation
import MosquittoTesting
import Testing
import Turns

@Suite(.turn(.tools)) struct TestCertificateAuthorityTests {
    let directory: TemporaryDirectory
    let authority: TestCertificateAuthority
    let authorityPath: String

    init() throws {
        directory = try TemporaryDirectory()
        authority = try TestCertificateAuthority()
        authorityPath = try directory.write(authority.certificatePEM, to: "ca.pem")
    }

    @Test func `OpenSSL verifies a server certificate for its name and its address, strictly`() async throws {
        let path = try directory.write(authority.serverIdentity().certificatePEM, to: "leaf.pem")
        let options = ["verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", authorityPath]
        for check in [["-verify_hostname", "localhost"], ["-verify_ip", "127.0.0.1"], ["-verify_ip", "::1"]] {
            let result = try await RunningCommand("/usr/bin/openssl", options + check + [path]).result()
            #expect(result.status == 0, "\(result.output)")
        }
        let wrong = try await RunningCommand("/usr/bin/openssl", options + ["-verify_hostname", "other", path]).result()
        #expect(wrong.status != 0)
    }

    @Test func `OpenSSL verifies a client certificate for clients only`() async throws {
        let path = try directory.write(authority.clientIdentity(commonName: "dev1").certificatePEM, to: "leaf.pem")
        let client = try await run(
            "/usr/bin/openssl",
            "verify",
            "-x509_strict",
            "-purpose",
            "sslclient",
            "-CAfile",
            authorityPath,
            path
        )
        #expect(client.status == 0, "\(client.output)")
        let server = try await run(
            "/usr/bin/openssl",
            "verify",
            "-purpose",
            "sslserver",
            "-CAfile",
            authorityPath,
            path
        )
        #expect(server.status != 0)
    }

    @Test func `A certificate of the past is expired, one of another authority is unknown`() async throws {
        let expired = try authority.serverIdentity(
            notBefore: Date(timeIntervalSinceNow: -7_200),
            notAfter: Date(timeIntervalSinceNow: -3_600)
        )
        let path = try directory.write(expired.certificatePEM, to: "expired.pem")
        let result = try await run("/usr/bin/openssl", "verify", "-CAfile", authorityPath, path)
        #expect(result.output.contains("certificate has expired"))

        let stranger = try TestCertificateAuthority().serverIdentity()
        let strangerPath = try directory.write(stranger.certificatePEM, to: "stranger.pem")
        #expect(try await run("/usr/bin/openssl", "verify", "-CAfile", authorityPath, strangerPath).status != 0)
    }

    @Test(arguments: zip(TestKeyAlgorithm.allCases, ["ecdsa-with-SHA256", "sha256WithRSAEncryption", "ED25519"]))
    func `OpenSSL verifies certificates of each key algorithm, and reads their keys`(
        algorithm: TestKeyAlgorithm, signature: String
    ) async throws {
        let authority = try TestCertificateAuthority(keyAlgorithm: algorithm)
        let identity = try authority.serverIdentity()
        let root = try directory.write(authority.certificatePEM, to: "root.pem")
        let leaf = try directory.write(identity.certificatePEM, to: "leaf.pem")
        let key = try directory.write(identity.privateKeyPEM, to: "leaf.key")
        let options = ["-x509_strict", "-purpose", "sslserver", "-verify_hostname", "localhost", "-CAfile", root]
        let verification = try await RunningCommand("/usr/bin/openssl", ["verify"] + options + [leaf]).result()
        #expect(verification.status == 0, "\(verification.output)")
        let text = try await run("/usr/bin/openssl", "x509", "-in", leaf, "-noout", "-text")
        #expect(text.output.contains("Signature Algorithm: \(signature)"))
        let ofCertificate = try await run("/usr/bin/openssl", "x509", "-in", leaf, "-noout", "-pubkey")
        let ofKey = try await run("/usr/bin/openssl", "pkey", "-in", key, "-pubout")
        #expect(ofKey.status == 0 && ofKey.output == ofCertificate.output)
    }

    @Test func `No description shows a private key`() throws {
        let identity = try authority.serverIdentity()
        var dumped = ""
        dump(identity, to: &dumped)
        dump(authority, to: &dumped)
        for text in [dumped, "\(identity)", String(reflecting: identity), "\(authority)"] {
            #expect(!text.contains("PRIVATE"))
        }
    }
}

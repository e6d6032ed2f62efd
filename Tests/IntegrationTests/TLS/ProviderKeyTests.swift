// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
import Foundation
import Mosquitto
import Testing

@testable import MosquittoTesting

extension TLSTests {
    /// In processes of their own, the command `mosq`: OpenSSL reads its configuration, which names the providers, once.
    @Suite("A client key in a provider of OpenSSL")
    struct ProviderKeyTests {
        @Test func `in a TPM authenticates the client`() async throws {
            let certificates = try Certificates.current
            let tpm = try await RealServer.start(
                "tpm", files: ["root.pem": certificates.text("root.pem"), "root.key": certificates.text("root.key")])
            defer { tpm.stop() }
            let key = ["--key", "handle:0x81000001", "--keyform", "uri"]
            let environment = [
                "OPENSSL_CONF": tpm.path("openssl.cnf"),
                "TPM2OPENSSL_TCTI": "swtpm:host=127.0.0.1,port=\(tpm.port)",
            ]
            let good = try await publish(with: ["--cert", tpm.path("client-tpm.pem")] + key, environment)
            #expect(good.status == 0, "\(good.output)")
            #expect(good.log.contains("u'client-tpm'"), "\(good.log)")

            // The key of another certificate.
            let other = try await publish(with: ["--cert", certificates.path("client-ecdsa.pem")] + key, environment)
            #expect(other.status == 1)
            #expect(other.output.contains("the stored key cannot be used with certificate file"), "\(other.output)")
            #expect(!other.log.contains("New client connected"), "\(other.log)")

            // No provider.
            let none = try await publish(with: ["--cert", tpm.path("client-tpm.pem")] + key, [:])
            #expect(none.status == 1)
            #expect(none.output.contains("no provider of OpenSSL opens such a URI"), "\(none.output)")
            #expect(!none.output.contains("0x81000001"))
        }

        /// The package pkcs11-provider is in Debian 13, and not in Debian 12; there ``StoredKeyTests`` use the engine.
        private static let pkcs11 = ["x86_64", "aarch64"].map { "/usr/lib/\($0)-linux-gnu/ossl-modules/pkcs11.so" }
            .first { FileManager.default.fileExists(atPath: $0) }

        @Test(.enabled(if: pkcs11 != nil, "pkcs11-provider is not installed"))
        func `in a PKCS #11 token authenticates the client`() async throws {
            let certificates = try Certificates.current
            let environment = [
                "OPENSSL_CONF": try certificates.directory.write(
                    """
                    openssl_conf = openssl_init
                    [openssl_init]
                    providers = providers
                    [providers]
                    default = default_provider
                    pkcs11 = pkcs11_provider
                    [default_provider]
                    activate = 1
                    [pkcs11_provider]
                    module = \(try #require(Self.pkcs11))
                    pkcs11-module-path = /usr/lib/softhsm/libsofthsm2.so
                    activate = 1

                    """, to: "pkcs11.cnf"),
                "SOFTHSM2_CONF": try await SoftToken.make(of: ["client-ecdsa", "client-rsa2048"], certificates),
            ]
            for name in ["client-ecdsa", "client-rsa2048"] {
                let key = "pkcs11:token=mqtt;object=\(name);type=private?pin-value=1234"
                let good = try await publish(
                    with: ["--cert", certificates.path("\(name).pem"), "--key", key], environment)
                #expect(good.status == 0, "\(good.output)")
                #expect(good.log.contains("u'\(name)'"), "\(good.log)")
            }
            let wrong = try await publish(
                with: [
                    "--cert", certificates.path("client-ecdsa.pem"), "--key",
                    "pkcs11:token=mqtt;object=client-ecdsa;type=private?pin-value=4321",
                ], environment)
            #expect(wrong.status == 1)
            #expect(wrong.output.contains("the stored key"), "\(wrong.output)")
            #expect(!wrong.output.contains("4321"))
        }

        private struct Outcome {
            var status: Int32
            /// The output of `mosq`.
            var output: String
            /// The log of the broker.
            var log: String
        }

        /// Publishes to a mosquitto that requires a certificate. Its own has a key of Ed25519, which no TPM has: the
        /// provider tpm2 would load the public keys of others into the TPM, which has room for three.
        private func publish(with key: [String], _ environment: [String: String]) async throws -> Outcome {
            let certificates = try Certificates.current
            let mosquitto = try await LocalMosquitto.start(
                extraConfiguration: MosquittoRow.strict.replacing("ecdsa", with: "ed25519")
                    .replacing("$", with: certificates.directory.path))
            let folder = try TemporaryDirectory()
            var setup = ChildProcess.Setup(output: "\(folder.path)/output")
            setup.environment = ProcessInfo.processInfo.environment.merging(environment, uniquingKeysWith: { $1 })
            // Beside the test bundle, which is where SwiftPM links products.
            let program = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent().appending(
                path: "mosq")
            let process = try ChildProcess(
                executable: program.path,
                arguments: [
                    "pub", "-h", "localhost", "-p", "\(mosquitto.port)", "--cafile", certificates.path("root.pem"),
                    "-t",
                    "a", "-m", "x", "-q", "1", "--connect-timeout", "30",
                ] + key, setup)
            let exit = await process.exit(deadline: .seconds(60))
            let output = try String(contentsOfFile: setup.output, encoding: .utf8)
            guard case .status(let status) = exit else {
                return Outcome(status: -1, output: output, log: mosquitto.log)
            }
            return Outcome(status: status, output: output, log: mosquitto.log)
        }
    }
}
#endif

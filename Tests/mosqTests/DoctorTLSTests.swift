// SPDX-License-Identifier: Apache-2.0

import Foundation
import MosquittoTesting
import Testing
import Turns

@Suite("mosq doctor and TLS", .turn(.command), .timeLimit(.minutes(2)))
struct DoctorTLSTests {
    private let authority: TestCertificateAuthority
    private let folder: TemporaryDirectory
    private let cafile: String

    init() throws {
        authority = try TestCertificateAuthority(commonName: "the authority")
        folder = try TemporaryDirectory()
        cafile = try folder.write(authority.certificatePEM, to: "ca.pem")
    }

    /// Examines a broker that shows this certificate.
    private func examine(_ identity: TestIdentity, _ arguments: [String] = []) async throws -> DoctorRun {
        let broker = try await ScriptedBroker.start(tls: identity)
        let run = try await DoctorRun(["-p", "\(broker.port)", "--cafile", cafile] + arguments)
        // Nothing of MQTT goes to a broker that is not trusted.
        #expect(broker.connects.isEmpty)
        #expect(run.status == 1)
        #expect(run.status("tls") == "failed")
        #expect(run.status("connack") == "skipped")
        // The report contains the shown certificates, whichever check failed.
        #expect(run.report["tls"]?["chain"]?[0]?["subject"] != nil)
        #expect(run.report["tls"]?["version"] == "TLSv1.3")
        #expect(run.report["tls"]?["cipher"]?.string?.hasPrefix("TLS_") == true)
        await broker.stop()
        return run
    }

    @Test func `TLS at a port for plain TCP`() async throws {
        let mosquitto = try await LocalMosquitto.start()
        let run = try await DoctorRun(["-p", "\(mosquitto.port)", "--cafile", cafile])
        #expect(run.status == 1)
        #expect(run.cause("tls") == "notTLS")
        #expect(run.words("tls").contains("8883"))
    }

    @Test(arguments: [[], ["--ws"]]) func `plain TCP at a port for TLS`(flags: [String]) async throws {
        let mosquitto = try await LocalMosquitto.start(tls: try authority.serverIdentity())
        let run = try await DoctorRun(["-p", "\(mosquitto.port)"] + flags)
        #expect(run.status == 1)
        #expect(run.cause("tls") == "tlsRequired")
        #expect(run.words("tls").contains("--cafile"))
        #expect(run.report["tls"]?["chain"]?[0]?["subject"] == "CN=localhost")
        #expect(run.status("connack") == "skipped")
    }

    @Test func `an authority that is not trusted`() async throws {
        let other = try TestCertificateAuthority(commonName: "another authority")
        let run = try await examine(try other.serverIdentity())
        #expect(run.cause("tls") == "unknownAuthority")
        #expect(run.words("tls").contains("CN=another authority"))
        #expect(run.report["tls"]?["failedCheck"]?["code"] == 20)
    }

    @Test func `a certificate that has expired`() async throws {
        let run = try await examine(
            try authority.serverIdentity(
                notBefore: Date(timeIntervalSinceNow: -864_000), notAfter: Date(timeIntervalSinceNow: -432_000)))
        #expect(run.cause("tls") == "certificateExpired")
        #expect(run.words("tls").contains("5 days ago"))
        #expect(!run.words("tls").contains("clock"))
    }

    @Test func `a certificate that has expired an hour ago may be the clock`() async throws {
        let run = try await examine(
            try authority.serverIdentity(
                notBefore: Date(timeIntervalSinceNow: -864_000), notAfter: Date(timeIntervalSinceNow: -3_600)))
        #expect(run.cause("tls") == "certificateExpired")
        #expect(run.words("tls").contains("the clock of this machine is ahead"))
    }

    @Test func `a certificate that begins in an hour is the clock`() async throws {
        let run = try await examine(try authority.serverIdentity(notBefore: Date(timeIntervalSinceNow: 3_600)))
        #expect(run.cause("tls") == "clock")
        #expect(run.words("tls").contains("behind"))
    }

    @Test func `a certificate for another name`() async throws {
        let run = try await examine(
            try authority.serverIdentity(names: ["broker.example.com"], addresses: []), ["-h", "localhost"])
        #expect(run.cause("tls") == "wrongName")
        #expect(run.words("tls").contains("DNS:broker.example.com"))
    }

    @Test func `a client certificate that is missing, or of another authority`() async throws {
        let mosquitto = try await LocalMosquitto.start(
            tls: try authority.serverIdentity(), authority: authority.certificatePEM, requireClientCertificate: true)
        let flags = ["-p", "\(mosquitto.port)", "--cafile", cafile]
        let missing = try await DoctorRun(flags)
        #expect(missing.status == 1)
        #expect(missing.cause("tls") == "clientCertificateMissing")
        // The handshake itself was complete, as far as this side could see.
        #expect(missing.report["tls"]?["version"] == "TLSv1.3")
        #expect(missing.report["tls"]?["cipher"] != nil)

        func identity(_ authority: TestCertificateAuthority, _ name: String) throws -> [String] {
            let identity = try authority.clientIdentity(commonName: "dev1")
            return [
                "--cert", try folder.write(identity.certificatePEM, to: "\(name).pem"),
                "--key", try folder.write(identity.privateKeyPEM, to: "\(name).key"),
            ]
        }
        let refused = try await DoctorRun(flags + (try identity(try TestCertificateAuthority(), "other")))
        #expect(refused.status == 1)
        #expect(refused.cause("tls") == "clientCertificateRefused")

        let accepted = try await DoctorRun(flags + (try identity(authority, "good")))
        #expect(accepted.status == 0)
        #expect(accepted.report["tls"]?["hasClientCertificate"] == true)
    }

    @Test func `a broker that is silent in the handshake`() async throws {
        let broker = try await ScriptedBroker.start(tls: try authority.serverIdentity(), script: [.silent])
        let run = try await DoctorRun(
            ["-p", "\(broker.port)", "--cafile", cafile, "--connect-timeout", "3"])
        #expect(run.status == 1)
        #expect(run.cause("tls") == "noAnswer")
        await broker.stop()
    }

    @Test func `a broker without the post-quantum key exchange that is required, or a machine without one`()
        async throws
    {
        let mosquitto = try await LocalMosquitto.start(tls: try authority.serverIdentity())
        let arguments = ["-p", "\(mosquitto.port)", "--cafile", cafile]
        let run = try await DoctorRun(arguments)
        // The group of OpenSSL's choice, whichever that is.
        #expect(run.report["tls"]?["group"]?.string?.lowercased().hasPrefix("x25519") == true)
        let strict = try await DoctorRun(arguments + ["--tls-post-quantum"])
        switch strict.cause("tls") {
        case "tlsConfiguration": #expect(strict.words("tls").contains("has no post-quantum group"))
        case "notPostQuantum": #expect(strict.words("tls").contains("no post-quantum key exchange in common"))
        default: #expect(strict.report["tls"]?["group"] == "X25519MLKEM768")
        }
    }
}

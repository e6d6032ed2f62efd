// SPDX-License-Identifier: Apache-2.0

import CMosquitto
import CMosquittoShim
import Foundation
import MosquittoTesting
import Synchronization
import Testing
import Turns

@testable import Mosquitto

/// TLS sessions, kept for each endpoint.
@Suite(.turn(.units)) struct `TLS sessions` {
    private typealias Configuration = MQTTTLSConfiguration

    /// A client, and a server whose certificate it trusts.
    private struct Pair {
        let folder: OpenSSLFolder
        let server: LooseServer
        let configuration: MQTTTLSConfiguration
        let context: TLSContext
        let clock = MovedClock()
        private static let first = MQTTEndpoint(host: "a.example", port: 8_883)

        init(
            _ version: Int32 = TLS1_3_VERSION, notAfter: Date = Date(timeIntervalSinceNow: 1e7),
            change: (inout MQTTTLSConfiguration) -> Void = { _ in }
        ) async throws {
            folder = try OpenSSLFolder()
            let authority = try TestCertificateAuthority()
            server = try LooseServer(
                try authority.serverIdentity(names: ["a.example", "b.example"], notAfter: notAfter),
                maximumVersion: version)
            let identity = try authority.clientIdentity(commonName: "client")
            try folder.write(authority.certificatePEM, to: "ca.pem")
            try folder.write(identity.certificatePEM, to: "client.pem")
            try folder.write(identity.privateKeyPEM, to: "client.key")
            var configuration = MQTTTLSConfiguration(
                trust: .file(folder.path("ca.pem")),
                identity: .files(certificate: folder.path("client.pem"), key: folder.path("client.key")))
            change(&configuration)
            self.configuration = configuration
            let clock = clock
            let new = try TLSContext(configuration, clock: TLSClock { clock.reading })
            context = try await TLSContext.prepared(configuration, again: new, for: Self.first)
        }

        /// Connects to the endpoint, and returns true if the connection resumes an earlier session.
        func resumes(_ host: String = "a.example", port: Int = 8_883) async throws -> Bool {
            _ = try await TLSContext.prepared(
                configuration, again: context, for: MQTTEndpoint(host: host, port: port))
            return try server.handshake(with: context).isResumed
        }
    }

    @Test(arguments: [TLS1_2_VERSION, TLS1_3_VERSION])
    func `are resumed by the next connection, and the one after it`(version: Int32) async throws {
        let pair = try await Pair(version)
        #expect(try await pair.resumes() == false)
        for _ in 0..<5 { #expect(try await pair.resumes()) }
    }

    @Test(arguments: [TLS1_2_VERSION, TLS1_3_VERSION])
    func `are offered to their own endpoint alone`(version: Int32) async throws {
        let pair = try await Pair(version)
        #expect(try await pair.resumes() == false)
        #expect(try await pair.resumes("b.example") == false)
        #expect(try await pair.resumes("a.example", port: 8_884) == false)
        #expect(try await pair.resumes("a.example"))
        #expect(try await pair.resumes("b.example"))
        #expect(try await pair.resumes("a.example", port: 8_884))
    }

    /// RFC 8446, appendix C.4.
    @Test func `of TLS 1_3 are used once, also by a connection that failed`() async throws {
        let pair = try await Pair()
        #expect(try await pair.resumes() == false)
        #expect(pair.context.record.pointee.session != nil)
        let client = try #require(cmq_tls_start(pair.context.record, pair.context.pointer))
        #expect(cmq_tls_handshake(pair.context.record, client) == CMQ_TLS_WANT_MORE)
        #expect(pair.context.record.pointee.session == nil)
        SSL_free(client)
        cmq_tls_reset(pair.context.record)
        #expect(try await pair.resumes() == false)
    }

    @Test(arguments: ["ca.pem", "client.pem", "client.key"])
    func `are forgotten when trust or identity change, for all endpoints`(file: String) async throws {
        let pair = try await Pair()
        _ = try await pair.resumes("a.example")
        _ = try await pair.resumes("b.example")
        try pair.folder.write(pair.folder.text(file), to: file)
        #expect(try await pair.resumes("a.example") == false)
        #expect(try await pair.resumes("b.example") == false)
        #expect(try await pair.resumes("a.example"))
    }

    @Test func `are forgotten when files could not be read for a while`() async throws {
        let pair = try await Pair()
        _ = try await pair.resumes()
        let path = pair.folder.path("ca.pem")
        try FileManager.default.moveItem(atPath: path, toPath: path + ".away")
        await #expect(throws: MQTTError.self) { try await pair.resumes() }
        try FileManager.default.moveItem(atPath: path + ".away", toPath: path)
        #expect(try await pair.resumes() == false)
    }

    // MARK: Limits

    /// Each ticket follows from the one before, and each is young.
    @Test(arguments: [TLS1_2_VERSION, TLS1_3_VERSION])
    func `are not resumed a day after the last full handshake`(version: Int32) async throws {
        let pair = try await Pair(version)
        #expect(try await pair.resumes() == false)
        for _ in 0..<3 {
            for _ in 0..<3 {
                pair.clock.move(by: 7 * 3_600)
                #expect(try await pair.resumes())
            }
            pair.clock.move(by: 4 * 3_600)
            #expect(try await pair.resumes() == false)
        }
    }

    @Test func `are not resumed after the age that was chosen, with any endpoint`() async throws {
        let pair = try await Pair { $0.maximumSessionAge = .seconds(60) }
        _ = try await pair.resumes("a.example")
        pair.clock.move(by: 30)
        _ = try await pair.resumes("b.example")
        pair.clock.move(by: 31)
        #expect(try await pair.resumes("a.example") == false)
        #expect(try await pair.resumes("b.example"))
    }

    /// Only the client's clock moves: the server, and OpenSSL, take the certificate for a valid one.
    @Test(arguments: [TLS1_2_VERSION, TLS1_3_VERSION])
    func `are not resumed when the broker's certificate has expired`(version: Int32) async throws {
        let pair = try await Pair(version, notAfter: Date(timeIntervalSinceNow: 3_600))
        #expect(try await pair.resumes() == false)
        pair.clock.move(by: 3_500)
        #expect(try await pair.resumes())
        pair.clock.move(by: 200)
        #expect(try await pair.resumes() == false)
    }

    @Test func `are not resumed when a revocation list is due`() async throws {
        let folder = try OpenSSLFolder()
        try folder.write("[ca]\ndefault_ca=a\n[a]\ndatabase=index\ndefault_md=sha256\n", to: "ca.cnf")
        try folder.write("", to: "index")
        let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
        try await folder.openssl("req -x509 \(key) -days 30 -subj /CN=ca -keyout ca.key -out ca.pem")
        try await folder.openssl(
            "req -x509 \(key) -days 20 -subj /CN=a -keyout a.key -CA ca.pem -CAkey ca.key -addext subjectAltName=DNS:a.example -out a.pem"
        )
        try await folder.openssl("ca -config ca.cnf -gencrl -crldays 2 -cert ca.pem -keyfile ca.key -out crl.pem")
        let pair = try await Pair {
            $0.trust = .file(folder.path("ca.pem"))
            $0.revocation = .init(.file(folder.path("crl.pem")))
            $0.maximumSessionAge = .seconds(86_400 * 100)
        }
        let server = try LooseServer(
            TestIdentity(certificatePEM: try folder.text("a.pem"), privateKeyPEM: try folder.text("a.key")))
        #expect(try server.handshake(with: pair.context).isResumed == false)
        pair.clock.move(by: 86_400)
        _ = try await TLSContext.prepared(pair.configuration, again: pair.context)
        #expect(try server.handshake(with: pair.context).isResumed)
        pair.clock.move(by: 86_400 + 10)
        _ = try await TLSContext.prepared(pair.configuration, again: pair.context)
        #expect(try server.handshake(with: pair.context).isResumed == false)
    }

    @Test func `are not resumed with a custom verification, unless that is asked for`() async throws {
        let asked = try await Pair { $0.customVerification = { _ in } }
        for _ in 0..<3 { #expect(try await asked.resumes() == false) }
        let wanted = try await Pair {
            $0.customVerification = { _ in }
            $0.resumesSessions = true
        }
        #expect(try await wanted.resumes() == false)
        #expect(try await wanted.resumes())
    }

    @Test func `are not kept if they are not to be`() async throws {
        let never = try await Pair { $0.resumesSessions = false }
        for _ in 0..<3 { #expect(try await never.resumes() == false) }
        let stapled = try await Pair { $0.requiresOCSPStaple = true }
        #expect(stapled.context.record.pointee.resumes == false)
    }

    @Test func `are forgotten on demand`() async throws {
        let pair = try await Pair()
        _ = try await pair.resumes("b.example")
        _ = try await pair.resumes("a.example")
        pair.context.forgetSessions()
        #expect(try await pair.resumes("a.example") == false)
        #expect(try await pair.resumes("b.example") == false)
    }

    @Test func `of many endpoints are not kept for ever`() async throws {
        let pair = try await Pair { $0.serverName = "a.example" }
        for number in 0..<50 { #expect(try await pair.resumes("h\(number).example") == false) }
        var kept = 0
        for number in 0..<50 where try await pair.resumes("h\(number).example") { kept += 1 }
        #expect((1...17).contains(kept))
    }
}

/// The clocks of the machine, and the seconds that a test adds to them.
private final class MovedClock: Sendable {
    private let offset = Mutex(0.0)

    func move(by seconds: Double) { offset.withLock { $0 += seconds } }

    var reading: TLSClock.Reading {
        let offset = offset.withLock { $0 }
        return TLSClock.Reading(uptime: .now + .seconds(offset), date: Date(timeIntervalSinceNow: offset))
    }
}

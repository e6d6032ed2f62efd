import CMosquitto
import CMosquittoShim
import Foundation
import MosquittoTesting
import Testing

@testable import Mosquitto

/// TLS sessions, kept for each endpoint.
@Suite struct `TLS sessions` {
    private typealias Configuration = MQTTTLSConfiguration

    /// A client, and a server whose certificate it trusts.
    private struct Pair {
        let folder: OpenSSLFolder
        let server: LooseServer
        let configuration: MQTTTLSConfiguration
        let context: TLSContext
        private static let first = MQTTEndpoint(host: "a.example", port: 8_883)

        init(
            _ version: Int32 = TLS1_3_VERSION, change: (inout MQTTTLSConfiguration) -> Void = { _ in }
        ) async throws {
            folder = try OpenSSLFolder()
            let authority = try TestCertificateAuthority()
            server = try LooseServer(
                try authority.serverIdentity(names: ["a.example", "b.example"]), maximumVersion: version)
            let identity = try authority.clientIdentity(commonName: "client")
            try folder.write(authority.certificatePEM, to: "ca.pem")
            try folder.write(identity.certificatePEM, to: "client.pem")
            try folder.write(identity.privateKeyPEM, to: "client.key")
            var configuration = MQTTTLSConfiguration(
                trust: .file(folder.path("ca.pem")),
                identity: .files(certificate: folder.path("client.pem"), key: folder.path("client.key")))
            change(&configuration)
            self.configuration = configuration
            context = try await TLSContext.prepared(configuration, for: Self.first)
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

// SPDX-License-Identifier: Apache-2.0

import CMosquitto
import CMosquittoShim
import Foundation
import MosquittoTesting
import Testing
import Turns

@testable import Mosquitto

@Suite(.turn(.units)) struct `A TLS context` {
    private func context(_ host: String = "a.example", serverName: String? = nil) async throws -> TLSContext {
        let authority = try TestCertificateAuthority()
        return try await prepare(
            nil, MQTTTLSConfiguration(trust: .pem(authority.certificatePEM), serverName: serverName), host)
    }

    @discardableResult
    private func prepare(
        _ known: TLSContext?, _ configuration: MQTTTLSConfiguration, _ host: String = "a.example", turn: Int = 0
    ) async throws(MQTTError) -> TLSContext {
        try await TLSContext.prepare(known, configuration, for: MQTTEndpoint(host: host, port: 8_883), turn: turn)
    }

    /// Returns a context for another host; its files are unchanged.
    private func prepare(_ context: TLSContext, for host: String) async throws(MQTTError) {
        let material = try await TLSMaterial(context.configuration)
        try await context.prepare(for: MQTTEndpoint(host: host, port: 8_883), material, turn: 0)
    }

    private func sentName(_ context: TLSContext) -> String? {
        context.record.pointee.server_name.map { String(cString: $0) }
    }

    /// Reads from the parameters with which a connection's certificate is verified.
    private func checked<R>(_ context: TLSContext, _ read: (OpaquePointer?) -> R?) -> R? {
        guard let ssl = cmq_tls_start(context.record, context.pointer) else { return nil }
        defer {
            SSL_free(ssl)
            cmq_tls_reset(context.record)
        }
        return read(SSL_get0_param(ssl))
    }

    private func checkedName(_ context: TLSContext) -> String? {
        checked(context) { X509_VERIFY_PARAM_get0_host($0, 0).map { String(cString: $0) } }
    }

    private func checkedAddress(_ context: TLSContext) -> String? {
        checked(context) { param in
            guard let text = X509_VERIFY_PARAM_get1_ip_asc(param) else { return nil }
            defer { CRYPTO_free(text, "", 0) }
            return String(cString: text)
        }
    }

    @Test func `checks the certificate for the host, and sends its name`() async throws {
        let context = try await context()
        #expect(sentName(context) == "a.example")
        #expect(checkedName(context) == "a.example")
        #expect(checkedAddress(context) == nil)
    }

    // "broker.svc.cluster.local." is looked up in no search domain. RFC 6066, section 3: SNI has no trailing dot.
    @Test func `leaves the root's dot out of the name that it checks and sends (core 19)`() async throws {
        for context in [try await context("a.example."), try await context("b", serverName: "a.example.")] {
            #expect(sentName(context) == "a.example")
            #expect(checkedName(context) == "a.example")
            #expect(context.verifiedName == "a.example")
        }
        var configuration = MQTTTLSConfiguration(trust: .pem(try TestCertificateAuthority().certificatePEM))
        configuration.serverNameIndication = .name("c.example.")
        #expect(sentName(try await prepare(nil, configuration)) == "c.example")
    }

    // OpenSSL would check nothing for an empty name, and for a name that begins with a dot would accept any name below
    // that domain.
    @Test(arguments: [".", ".example", ".."])
    func `is never prepared for a name that would be no check (core 19)`(host: String) async throws {
        let error = await #expect(throws: MQTTError.self) { _ = try await context(host) }
        #expect(error?.code == .tlsConfiguration)
    }

    @Test func `checks for an address, and sends none`() async throws {
        let context = try await context("192.0.2.1")
        #expect(sentName(context) == nil)
        #expect(checkedName(context) == nil)
        #expect(checkedAddress(context) == "192.0.2.1")
    }

    @Test func `is prepared for another host, be it a name or an address`() async throws {
        let context = try await context()
        for _ in 0..<2 {
            try await prepare(context, for: "192.0.2.1")
            #expect(sentName(context) == nil)
            #expect(checkedName(context) == nil)
            #expect(checkedAddress(context) == "192.0.2.1")
            try await prepare(context, for: "b.example")
            #expect(sentName(context) == "b.example")
            #expect(checkedName(context) == "b.example")
            #expect(checkedAddress(context) == nil)
        }
    }

    @Test func `checks for the configured name whatever the host`() async throws {
        let context = try await context(serverName: "broker.example")
        for host in ["192.0.2.1", "b.example", "/run/mosquitto.sock"] {
            try await prepare(context, for: host)
            #expect(sentName(context) == "broker.example")
            #expect(checkedName(context) == "broker.example")
        }
    }

    @Test func `does not check the scope of an address`() async throws {
        let context = try await context("fe80::1%1")
        #expect(checkedAddress(context)?.lowercased().contains("fe80") == true)
    }

    // getaddrinfo treats these as addresses, but OpenSSL does not.
    @Test(arguments: ["127.1", "2130706433", "0x7f000001"])
    func `checks the name again after a host that it could not be prepared for`(host: String) async throws {
        let context = try await context()
        let error = await #expect(throws: MQTTError.self) { try await prepare(context, for: host) }
        #expect(error?.code == .tlsConfiguration)
        try await prepare(context, for: "a.example")
        #expect(sentName(context) == "a.example")
        #expect(checkedName(context) == "a.example")
    }

    // MARK: Files

    private func trusted(_ context: TLSContext) -> Int32 {
        OPENSSL_sk_num(X509_STORE_get0_objects(context.record.pointee.trust))
    }

    @Test func `reads a file of trust again that was away for a while, though it is the same one`() async throws {
        let directory = try TemporaryDirectory()
        let path = try directory.write(try TestCertificateAuthority().certificatePEM, to: "ca.pem")
        let context = try await prepare(nil, MQTTTLSConfiguration(trust: .file(path)))
        #expect(trusted(context) == 1)
        try FileManager.default.moveItem(atPath: path, toPath: path + ".away")
        let error = await #expect(throws: MQTTError.self) { try await prepare(context, for: "a.example") }
        #expect(error?.code == .tlsConfiguration)
        try FileManager.default.moveItem(atPath: path + ".away", toPath: path)
        try await prepare(context, for: "a.example")
        #expect(trusted(context) == 1)
    }

    @Test func `looks at a directory again of which one file was overwritten in place (core 31)`() async throws {
        let directory = try TemporaryDirectory()
        _ = try directory.write(try TestCertificateAuthority().certificatePEM, to: "ca.pem")
        let context = try await prepare(nil, MQTTTLSConfiguration(trust: .directory(directory.path)))
        let first = context.record.pointee.trust
        try await prepare(context, for: "b.example")
        #expect(context.record.pointee.trust == first)
        let file = try #require(FileHandle(forWritingAtPath: directory.path + "/ca.pem"))
        try file.write(contentsOf: Data(try TestCertificateAuthority().certificatePEM.utf8 + [10]))
        try file.close()
        try await prepare(context, for: "a.example")
        #expect(context.record.pointee.trust != first)
    }

    @Test func `reads a file of trust again when it has changed`() async throws {
        let directory = try TemporaryDirectory()
        let first = try TestCertificateAuthority().certificatePEM
        let path = try directory.write(first, to: "ca.pem")
        let context = try await prepare(nil, MQTTTLSConfiguration(trust: .file(path)))
        _ = try directory.write(first + "\n" + TestCertificateAuthority().certificatePEM, to: "ca.pem")
        try await prepare(context, for: "a.example")
        #expect(trusted(context) == 2)
    }
}

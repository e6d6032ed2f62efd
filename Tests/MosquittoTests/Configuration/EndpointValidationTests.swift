// SPDX-License-Identifier: Apache-2.0

import Testing
import Turns

@testable import Mosquitto

@Suite(.turn(.units)) struct `Endpoints` {
    typealias Change = @Sendable (inout MQTTClientConfiguration) -> Void

    private static let socket = MQTTEndpoint.unixSocket("/run/mosquitto.sock")

    private func error(tls: MQTTTLSConfiguration? = MQTTTLSConfiguration(), _ change: Change) throws -> MQTTError {
        var configuration = MQTTClientConfiguration(host: "broker", tls: tls)
        change(&configuration)
        let error = try #require(#expect(throws: MQTTError.self) { try configuration.validate() })
        #expect(error.code == .invalidConfiguration)
        return error
    }

    private func check(tls: MQTTTLSConfiguration? = MQTTTLSConfiguration(), _ change: Change) throws {
        var configuration = MQTTClientConfiguration(host: "broker", tls: tls)
        change(&configuration)
        try configuration.validate()
    }

    // MARK: Unix sockets

    @Test func `a Unix socket is shown as its path`() {
        #expect(Self.socket.description == "unix:/run/mosquitto.sock")
        #expect(Self.socket.isUnixSocket)
    }

    @Test func `a Unix socket is another endpoint than a host of that name`() {
        #expect(Self.socket != MQTTEndpoint(host: "/run/mosquitto.sock", port: 0))
        #expect(!MQTTEndpoint(host: "broker", port: 1).isUnixSocket)
    }

    @Test(arguments: ["/run/mosquitto.sock", "relative", "/with space/and:colon", String(repeating: "p", count: 103)])
    func `the path of a Unix socket is any that the system takes`(path: String) throws {
        try MQTTEndpoint.unixSocket(path).validate()
    }

    @Test(arguments: [
        ("", "is empty"), ("/run/a\0b", "has a NUL"), (String(repeating: "p", count: 104), "more than 103 bytes"),
        (String(repeating: "é", count: 52), "more than 103 bytes"),
    ])
    func `a bad path of a Unix socket is refused`(path: String, text: String) throws {
        let error = try error(tls: nil) { $0.endpoints = [.unixSocket(path)] }
        #expect(error.message.contains(text))
    }

    @Test func `a path is no host`() throws {
        _ = try error { $0.endpoints = [MQTTEndpoint(host: "/run/mosquitto.sock", port: 1)] }
    }

    @Test func `a host may end with the root's dot and begin with none (core 19)`() throws {
        try MQTTEndpoint(host: "broker.svc.cluster.local.", port: 8_883).validate()
        let error = try error { $0.endpoints = [MQTTEndpoint(host: ".example.com", port: 1)] }
        #expect(error.message.contains("begins with a dot"))
    }

    @Test func `a Unix socket with TLS needs a name to check`() throws {
        let error = try error { $0.endpoints.append(Self.socket) }
        #expect(error.message.contains("unix:/run/mosquitto.sock"))
        #expect(error.message.contains("serverName"))
        try check {
            $0.endpoints.append(Self.socket)
            $0.tls?.serverName = "broker"
        }
        try check(tls: nil) { $0.endpoints.append(Self.socket) }
    }

    // MARK: The list

    @Test func `there must be one`() throws {
        #expect(try error { $0.endpoints = [] }.message.contains("endpoints is empty"))
    }

    @Test func `none may be there twice`() throws {
        #expect(try error { $0.endpoints += $0.endpoints }.message.contains("twice"))
        try check { $0.endpoints.append(MQTTEndpoint(host: "broker", port: 1)) }
    }

    @Test func `each is checked`() throws {
        #expect(
            try error { $0.endpoints.append(MQTTEndpoint(host: "other", port: 0)) }.message.contains("port 0"))
    }

    @Test func `a scope is part of an address`() throws {
        try check { $0.endpoints = [MQTTEndpoint(host: "fe80::1%eth0", port: 1)] }
    }

    // MARK: Redirections

    @Test func `any host without TLS is refused`() throws {
        #expect(
            try error(tls: nil) { $0.connection.redirects = .any }.message.contains(
                "connection.redirects .any without TLS"))
        try check { $0.connection.redirects = .any }
    }

    /// The certificate is what protects the credentials from a broker that nobody has named.
    @Test(arguments: [MQTTTLSConfiguration.Verification.none, .withoutHostName])
    func `any host without a verified name is refused`(verification: MQTTTLSConfiguration.Verification) throws {
        let error = try error {
            $0.connection.redirects = .any
            $0.tls?.verification = verification
        }
        #expect(error.message.contains("connection.redirects .any needs"))
        try check {
            $0.connection.redirects = .any
            $0.tls?.verification = verification
            $0.tls?.pins = [MQTTTLSPublicKeyPin(unchecked: [UInt8](repeating: 1, count: 32))]
        }
    }

    @Test(arguments: [MQTTRedirectPolicy.none, .listed])
    func `the listed hosts are fine without TLS`(policy: MQTTRedirectPolicy) throws {
        try check(tls: nil) { $0.connection.redirects = policy }
    }

    @Test func `the defaults follow no redirection, and wait for nothing`() {
        let configuration = MQTTClientConfiguration(host: "broker")
        #expect(configuration.connection.redirects == .none)
        #expect(configuration.connection.firstConnection == .background)
        #expect(configuration.connection.endpointOrder == .ordered)
    }

    // MARK: The first connection

    @Test(arguments: [Duration.zero, .seconds(-1), .nanoseconds(-1)])
    func `a first connection without time is refused`(limit: Duration) throws {
        let error = try error { $0.connection.firstConnection = .waitUntilConnected(within: limit) }
        #expect(error.message.contains("connection.firstConnection has a limit of \(limit)"))
    }

    @Test(arguments: [
        MQTTFirstConnection.background, .failFast, .waitUntilConnected(within: .nanoseconds(1)),
        .waitUntilConnected(within: .seconds(60)),
    ])
    func `a first connection with time is valid`(firstConnection: MQTTFirstConnection) throws {
        try check { $0.connection.firstConnection = firstConnection }
    }
}

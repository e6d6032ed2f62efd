// SPDX-License-Identifier: Apache-2.0

import AsyncHTTPClient
import Crypto
import Foundation
import Mosquitto
import MosquittoTesting
import MosquittoTokens
import NIOCore
import NIOSSL
import Promises
import Testing
import Turns

/// A real token endpoint that fails on demand, and a mosquitto that accepts its tokens.
private struct Issuer: Sendable {
    let server: RealServer
    let broker: RealBroker
    let http: HTTPClient
    /// Has the file with the issuer's certificate authority.
    let folder: TemporaryDirectory
    let clientKey: P256.Signing.PrivateKey

    static let secret = MQTTSecret("50%:+/ü")
    private static let authorityFile = "ca.pem"

    static func run(_ body: (Issuer) async throws -> Void) async throws {
        let signer = try JWTSigner(subject: "dev1")
        let clientKey = P256.Signing.PrivateKey()
        let server = try await RealServer.start(
            "oauth2-issuer",
            files: signer.issuerFiles.merging(["client.pub.pem": clientKey.publicKey.pemRepresentation]) { $1 })
        let broker = try await RealBroker.start(.mosquitto, tokens: signer)
        let folder = try TemporaryDirectory()
        let authority = try folder.write(server.authority.certificatePEM, to: authorityFile)
        // Changes the issuer's settings; the client that all tests share requests the tokens.
        var trust = NIOSSL.TLSConfiguration.makeClientConfiguration()
        trust.trustRoots = .file(authority)
        let http = HTTPClient(
            eventLoopGroupProvider: .singleton, configuration: HTTPClient.Configuration(tlsConfiguration: trust))
        let issuer = Issuer(
            server: server, broker: broker, http: http, folder: folder, clientKey: clientKey)
        do { try await body(issuer) } catch {
            try await http.shutdown()
            throw error
        }
        try await http.shutdown()
        server.stop()
        broker.stop()
    }

    func source(
        _ clientID: String = "dev1", _ authentication: MQTTOAuth2Credentials.Authentication = .basic(secret)
    ) -> MQTTOAuth2Credentials {
        .oauth2ClientCredentials(
            tokenURL: "https://localhost:\(server.port)/token", clientID: clientID, authentication: authentication,
            scope: "mqtt", username: .claim("sub"), certificateAuthorities: folder.path + "/" + Self.authorityFile)
    }

    func configuration(_ source: MQTTOAuth2Credentials) -> MQTTClientConfiguration {
        var configuration = broker.configuration(version: .v5_0) { _ in .anonymous }
        configuration.credentials = source
        return configuration
    }

    /// Changes the settings of the issuer.
    func turn(_ json: String) async throws {
        var request = HTTPClientRequest(url: "https://localhost:\(server.port)/_ctl")
        request.method = .POST
        request.headers.add(name: "Content-Type", value: "application/json")
        request.body = .bytes(ByteBuffer(string: json))
        let response = try await http.execute(request, timeout: .seconds(10))
        #expect(response.status == .ok)
    }

    /// Returns the number of token requests that the issuer has received.
    func requests() async throws -> Int {
        let response = try await http.execute(
            HTTPClientRequest(url: "https://localhost:\(server.port)/_ctl/requests"), timeout: .seconds(10))
        let body = try await response.body.collect(upTo: 1 << 20)
        return try #require(try JSONSerialization.jsonObject(with: Data(buffer: body)) as? [Any]).count
    }
}

extension Data {
    fileprivate init(buffer: ByteBuffer) { self.init(buffer.readableBytesView) }
}

@Suite("Tokens of a real OAuth 2.0 issuer", .turn(.brokers), .serialized, .timeLimit(.minutes(3)))
struct OAuth2Tests {
    @Test func `each way of authentication gets a token that the broker takes`() async throws {
        try await Issuer.run { issuer in
            let key = MQTTSigningKey.pem(MQTTSecret(issuer.clientKey.pemRepresentation), .es256)
            let folder = try TemporaryDirectory()
            let file = try folder.write(Issuer.secret.text + "\n", to: "secret")
            for source in [
                issuer.source("dev1", .basic(Issuer.secret)), issuer.source("dev1", .post(Issuer.secret)),
                issuer.source("dev1", .basicFile(file)), issuer.source("dev2", .privateKey(key)),
            ] {
                try await withMQTTClient(issuer.configuration(source), logger: quiet) { client in
                    try await client.publish("x", to: "a")
                }
            }
            let requests = try await issuer.requests()
            #expect(requests == 4)
        }
    }

    @Test func `a broker that cannot be reached costs the issuer one token`() async throws {
        try await Issuer.run { issuer in
            var configuration = issuer.configuration(issuer.source())
            configuration.endpoints[0].port = try freePort()
            let client = MQTTClient(configuration, logger: quiet)
            let events = client.events()
            try await client.start()
            var failures = 0
            for await event in events {
                if case .attemptFailed = event.kind { failures += 1 }
                if failures == 10 { break }
            }
            try? await client.shutdown()
            let requests = try await issuer.requests()
            #expect(requests == 1)
        }
    }

    @Test func `short-lived tokens are rotated by re-authentication, one request each`() async throws {
        try await Issuer.run { issuer in
            try await issuer.turn(#"{"ttl": \#(ShortLife.length.components.seconds)}"#)
            var configuration = issuer.configuration(issuer.source())
            ShortLife.rotate(&configuration)
            configuration.authenticator = .token(method: "JWT")
            configuration.rotation.method = .reauthenticate
            let client = MQTTClient(configuration, logger: quiet)
            let log = ClientLog(client)
            try await client.start()
            while log.gaps.count < 3 {
                try await client.publish("x", to: "a")
                try await Task.sleep(for: .milliseconds(20))
            }
            #expect(log.connections == 1)
            #expect(log.gaps.allSatisfy { $0 == .zero })
            try? await client.shutdown()
            let requests = try await issuer.requests()
            #expect(requests == 4)
        }
    }

    @Test(arguments: [
        #"{"status": 500}"#, #"{"status": 429, "retry_after": 3}"#, #"{"garbage": true}"#, #"{"hang": true}"#,
    ])
    func `an issuer in trouble costs no connection, and heals`(fault: String) async throws {
        try await Issuer.run { issuer in
            var source = issuer.source()
            if fault.contains("hang") { source.timeout = .seconds(1) }
            let client = MQTTClient(issuer.configuration(source), logger: quiet)
            let log = ClientLog(client)
            try await client.start()
            try await client.waitUntilConnected(timeout: .seconds(30))
            try await issuer.turn(fault)
            let error = await #expect(throws: MQTTError.self) { try await client.rotateCredentials() }
            #expect(error?.code == .credentials)
            if fault.contains("429") { #expect(error?.underlying as? MQTTCredentialError != nil) }
            try await client.publish("still here", to: "a")
            #expect(log.disconnections.isEmpty)
            try await issuer.turn(
                #"{"status": null, "retry_after": null, "garbage": false, "hang": false}"#)
            // The client reconnects by itself after the backoff or Retry-After.
            #expect(await eventually(timeout: .seconds(30)) { log.gaps.count == 1 })
            try await client.publish("with a new token", to: "a")
            try? await client.shutdown()
            let requests = try await issuer.requests()
            #expect(requests < 10)
        }
    }

    @Test func `a wrong secret ends the client with the issuer's words, and is not tried again`() async throws {
        try await Issuer.run { issuer in
            let client = MQTTClient(issuer.configuration(issuer.source("dev1", .basic("wr0ng-s3cret"))), logger: quiet)
            let error = await #expect(throws: MQTTError.self) { try await client.run() }
            #expect(error?.code == .credentials)
            #expect(error?.message.contains("invalid_client") == true)
            #expect(error?.message.contains("s3cret") == false)
            let requests = try await issuer.requests()
            #expect(requests == 1)
        }
    }

    @Test func `an issuer that is not trusted is not sent the secret`() async throws {
        try await Issuer.run { issuer in
            var source = issuer.source()
            source.certificateAuthorities = nil
            var configuration = issuer.configuration(source)
            configuration.connection.firstConnection = .failFast
            let client = MQTTClient(configuration, logger: quiet)
            let error = await #expect(throws: MQTTError.self) { try await client.run() }
            #expect(error?.code == .credentials)
            let requests = try await issuer.requests()
            #expect(requests == 0)
        }
    }
}

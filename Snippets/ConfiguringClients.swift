// SPDX-License-Identifier: Apache-2.0

// Parts of a configuration: trust and identity, session, credentials, the first connection, retries.

import Foundation
import Mosquitto
import ServiceLifecycle

/// An issuer of tokens, in the place of your own.
struct Issuer: Sendable {
    func token(forceRefresh: Bool) async throws -> (text: String, expiresAt: Date) { ("", .distantFuture) }
    func keys() async throws -> (id: String, secret: MQTTSecret, token: MQTTSecret) { ("", "", "") }
}

func makeConfiguration() -> MQTTClientConfiguration {
    // snippet.first
    // TLS with the system's certificate authorities, port 8883, MQTT 5.0.
    var configuration = MQTTClientConfiguration(host: "broker.example.com")

    // A certificate authority of your own, and a client certificate.
    configuration.tls = MQTTTLSConfiguration(
        trust: .file("/etc/mqtt/ca.pem"),
        identity: .files(certificate: "/etc/mqtt/client.pem", key: "/etc/mqtt/client.key"))

    configuration.will = MQTTWill(topic: "kitchen/status", payload: "offline", retain: true)
    // snippet.end
    return configuration
}

func configureTLS(_ configuration: inout MQTTClientConfiguration, pin: String) {
    // snippet.tls
    configuration.tls = MQTTTLSConfiguration(
        trust: .file("/etc/mqtt/ca.pem"),
        identity: .files(certificate: "/etc/mqtt/client.pem", key: "/etc/mqtt/client.key"))
    // snippet.end

    // snippet.pkcs11
    configuration.tls?.identity = .stored(
        certificate: "/etc/mqtt/client.pem", keyURI: "pkcs11:token=mqtt;object=client", engine: "pkcs11",
        passphrase: { MQTTSecret(pin) })
    // snippet.end

    // snippet.tpm
    configuration.tls?.identity = .stored(certificate: "/etc/mqtt/client.pem", keyURI: "handle:0x81000001")
    // snippet.end

    // snippet.post-quantum
    configuration.tls?.requiresPostQuantum = true
    // snippet.end
}

func configureProxy(_ configuration: inout MQTTClientConfiguration, password: MQTTSecret, issuer: Issuer) throws {
    // snippet.proxy
    configuration.connection.proxy = .http(host: "proxy.example.com", port: 3128, username: "dev1", password: password)
    // snippet.end

    // snippet.secureProxy
    let tls = MQTTTLSConfiguration(trust: .file("/etc/ssl/proxy-ca.pem"))
    configuration.connection.proxy = .https(host: "proxy.example.com", port: 443, tls: tls)
    // snippet.end

    // snippet.proxyToken
    configuration.connection.proxy = .http(host: "proxy.example.com", port: 3128) { attempt in
        let token = try await issuer.token(forceRefresh: attempt.purpose == .rejected)
        return MQTTSecret("Bearer " + token.text)
    }
    // snippet.end

    // snippet.proxyEnvironment
    configuration.connection.proxy = try .fromEnvironment()
    // snippet.end
}

func configureSession(_ configuration: inout MQTTClientConfiguration) {
    // snippet.session
    configuration.clientID = "kitchen"
    configuration.session = .persistent(expiry: .seconds(3_600))
    // snippet.end
}

func configureCredentials(_ configuration: inout MQTTClientConfiguration, issuer: Issuer) {
    // snippet.credentials
    configuration.credentials = .file("/var/run/secrets/mqtt/token", username: "kitchen")

    // or your own closure
    configuration.credentials = .closure { attempt in
        let token = try await issuer.token(forceRefresh: attempt.purpose != .connect)
        return MQTTCredentials(username: "kitchen", password: MQTTSecret(token.text), expiresAt: token.expiresAt)
    }
    // snippet.end

    // snippet.closure
    configuration.credentials = .closure { attempt in
        let token = try await issuer.token(forceRefresh: attempt.purpose != .connect)
        return MQTTCredentials(username: "kitchen", password: MQTTSecret(token.text), expiresAt: token.expiresAt)
    }
    // snippet.end

    // snippet.reauthentication
    configuration.authenticator = .token(method: "JWT")  // the provider's password becomes the Authentication Data
    configuration.rotation.method = .reauthenticate
    // snippet.end
}

func makeWebSocketConfiguration() throws -> MQTTClientConfiguration {
    // snippet.url
    // Port 443, TLS with the system's certificate authorities, the subprotocol "mqtt".
    var configuration = try MQTTClientConfiguration(url: "wss://broker.example.com/mqtt")
    // snippet.end
    configuration.webSocket.headers = [MQTTWebSocketHeader("X-Tenant", "one")]
    configuration.webSocket.origin = "https://example.com"
    return configuration
}

func prepareWebSockets(_ configuration: inout MQTTClientConfiguration, issuer: Issuer) {
    // snippet.prepare
    // "Authorization: Bearer" and the password of the provider's credentials.
    configuration.credentials = .file("/var/run/secrets/mqtt/token", username: "kitchen")
    configuration.webSocket.prepare = .bearer()

    // A URL for AWS IoT Core, signed with Signature Version 4.
    configuration.webSocket.prepare = .awsSigV4(region: "eu-central-1") { _ in
        let keys = try await issuer.keys()
        return MQTTAWSCredentials(accessKeyID: keys.id, secretAccessKey: keys.secret, sessionToken: keys.token)
    }

    // Anything else.
    configuration.webSocket.prepare = .closure { request, credentials, attempt in
        let token = try await issuer.token(forceRefresh: attempt.purpose == .rejected)
        request.query = MQTTSecret("access_token=" + token.text)
    }
    // snippet.end
}

func configureRetries(_ configuration: inout MQTTClientConfiguration) {
    // snippet.limits
    // start() throws the first failure.
    configuration.connection.firstConnection = .failFast
    // start() throws when the time is over.
    configuration.connection.firstConnection = .waitUntilConnected(within: .seconds(60))
    configuration.retry.limit = .attempts(10)
    // snippet.end

    // snippet.network-change
    configuration.connection.retriesOnNetworkChange = true
    // snippet.end

    // snippet.decide
    configuration.retry.decide = { failure in
        switch failure.error.reasonCode {
        case .banned?: .retry(.slow)  // this broker bans for ten minutes
        case .notAuthorized? where failure.consecutiveAuthenticationFailures >= 5: .stop
        default: .standard(for: failure)
        }
    }
    // snippet.end
}

// snippet.fleet
struct Fleet: Service {
    let clients: [MQTTClient]

    func run() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for client in clients { group.addTask { try await client.run() } }
            try await group.waitForAll()
        }
    }
}
// snippet.end

func makeClients(_ configurations: [MQTTClientConfiguration]) -> [MQTTClient] {
    // snippet.loops
    let loops = MosquittoEventLoopGroup(threads: 4)
    let clients = configurations.map { MQTTClient($0, eventLoop: loops.next()) }
    // snippet.end
    return clients
}

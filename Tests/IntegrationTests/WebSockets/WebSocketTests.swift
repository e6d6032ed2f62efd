// SPDX-License-Identifier: Apache-2.0

import Foundation
import Mosquitto
import MosquittoTesting
import Testing
import Turns

@Suite("A real mosquitto with WebSockets", .turn(.brokers), .timeLimit(.minutes(5)))
struct WebSocketTests {
    /// A broker with `protocol websockets`, over TLS or not.
    private final class Server: Sendable {
        let mosquitto: LocalMosquitto
        let authority: TestCertificateAuthority
        let isSecure: Bool
        /// mosquitto 2.0.11 does not start without a listener for MQTT.
        private let socket: String

        static func start(isSecure: Bool) async throws -> Server { try await Server(isSecure) }

        private init(_ isSecure: Bool) async throws {
            self.isSecure = isSecure
            socket = NSTemporaryDirectory() + "ws-\(UInt64.random(in: 0 ... .max)).sock"
            authority = try TestCertificateAuthority()
            mosquitto = try await LocalMosquitto.start(
                tls: isSecure ? try authority.serverIdentity() : nil,
                extraConfiguration: "protocol websockets\nlistener 0 \(socket)")
        }

        deinit {
            mosquitto.kill()
            unlink(socket)
        }

        func configuration(version: MQTTVersion = .v5_0, port: Int? = nil) throws -> MQTTClientConfiguration {
            var configuration = try MQTTClientConfiguration(
                url: "\(isSecure ? "wss" : "ws")://localhost:\(port ?? mosquitto.port)/mqtt",
                tls: .init(trust: .pem(authority.certificatePEM)))
            configuration.clientID = "test-\(UInt64.random(in: 0 ... .max))"
            configuration.version = version
            configuration.retry.baseDelay = .milliseconds(50)
            configuration.retry.maximumDelay = .milliseconds(500)
            configuration.retry.minimumAuthenticationDelay = .seconds(3)
            return configuration
        }
    }

    @Test(arguments: [MQTTVersion.v3_1_1, .v5_0], [false, true])
    func `carries messages of every QoS and size`(version: MQTTVersion, isSecure: Bool) async throws {
        let server = try await Server.start(isSecure: isSecure)
        try await withMQTTClient(server.configuration(version: version), logger: quiet) { client in
            let info = try await client.waitUntilConnected(timeout: .seconds(30))
            #expect(info.endpoint.webSocket?.isSecure == isSecure && (info.tls != nil) == isSecure)
            for qos in MQTTQoS.allCases {
                try await client.subscribe(to: MQTTSubscription("\(qos.rawValue)/#", qos: qos)) { messages in
                    let sizes = [0, 1, 100, 125, 126, 127, 16_383, 65_500, 65_536, 1_048_576]
                    let bytes = (0..<1_048_576).map { UInt8(truncatingIfNeeded: $0 &* 7) }
                    for size in sizes {
                        try await client.publish(
                            Array(bytes[..<size]), to: "\(qos.rawValue)/\(size)",
                            qos: qos)
                    }
                    var seen: [Int] = []
                    for await message in messages {
                        #expect(message.topic == "\(qos.rawValue)/\(message.payload.count)")
                        let isWhole = Array(message.payload) == Array(bytes[..<message.payload.count])
                        #expect(isWhole)
                        seen.append(message.payload.count)
                        if seen.count == sizes.count { break }
                    }
                    #expect(seen == sizes)
                }
            }
        }
        let log = server.mosquitto.log
        #expect(!log.contains("protocol error"))
    }

    @Test(arguments: [false, true])
    func `takes a burst of small messages`(isSecure: Bool) async throws {
        let server = try await Server.start(isSecure: isSecure)
        let received = Tally()
        try await withMQTTClient(server.configuration(), logger: quiet) { client in
            try await client.subscribe(to: MQTTSubscription("burst", qos: .atLeastOnce)) { messages in
                for number in 0..<3_000 { try client.enqueue("\(number)", to: "burst", qos: .atLeastOnce) }
                for await message in messages {
                    received.add(try #require(Int(message.payloadString)))
                    if received.distinct == 3_000 { break }
                }
            }
        }
        #expect(received.missing(of: 0..<3_000).isEmpty)
    }

    @Test(arguments: [false, true])
    func `is left with DISCONNECT, and no will is published`(isSecure: Bool) async throws {
        let server = try await Server.start(isSecure: isSecure)
        var testator = try server.configuration()
        testator.will = MQTTWill(topic: "will", payload: "gone")
        let configuration = testator
        try await withMQTTClient(server.configuration(), logger: quiet) { observer in
            try await observer.subscribe(to: "will") { messages in
                try await withMQTTClient(configuration, logger: quiet) { client in
                    _ = try await client.waitUntilConnected(timeout: .seconds(30))
                }
                try await observer.publish("no will came", to: "will")
                let first = await messages.first { _ in true }
                #expect(first?.payloadString == "no will came")
            }
        }
    }

    @Test func `is reconnected to after its restart`() async throws {
        let server = try await Server.start(isSecure: true)
        var configuration = try server.configuration()
        configuration.session = .persistent
        try await withMQTTClient(configuration, logger: quiet) { client in
            try await client.publish("before", to: "a", qos: .exactlyOnce)
            server.mosquitto.kill()
            try await server.mosquitto.restart()
            try await client.publish("after", to: "a", qos: .exactlyOnce)
        }
    }

    @Test(arguments: [false, true])
    func `gets a new bearer token with each rotation`(isSecure: Bool) async throws {
        let server = try await Server.start(isSecure: isSecure)
        let front = isSecure ? nil : try UpgradeFront(to: server.mosquitto.port) { _, _ in nil }
        var configuration = try server.configuration(port: front?.port)
        let numbers = Tally()
        configuration.credentials = .closure { attempt in
            numbers.add(numbers.distinct)
            return MQTTCredentials(
                username: "u", password: MQTTSecret("token-\(numbers.distinct)"),
                expiresAt: Date.now.addingTimeInterval(3))
        }
        configuration.webSocket.prepare = .bearer()
        try await withMQTTClient(configuration, logger: quiet) { client in
            var rotations = 0
            for await event in client.events() {
                if case .credentialsRotated = event.kind { rotations += 1 }
                if case .disconnected(let lost) = event.kind { Issue.record("\(lost.error)") }
                if rotations == 2 { break }
                if case .connected = event.kind { try client.enqueue("x", to: "y", qos: .exactlyOnce) }
            }
            try await client.publish("last", to: "y", qos: .exactlyOnce)
        }
        if let front {
            let tokens = front.requests.compactMap { head in
                head.split(separator: "\r\n").first { $0.hasPrefix("Authorization: ") }
            }
            #expect(
                tokens.prefix(3) == [
                    "Authorization: Bearer token-1", "Authorization: Bearer token-2",
                    "Authorization: Bearer token-3",
                ])
        }
    }

    /// The issue's own case: the first URL has expired.
    @Test func `is reached with a fresh URL at once, if the first one has expired`() async throws {
        let server = try await Server.start(isSecure: false)
        let front = try UpgradeFront(to: server.mosquitto.port) { _, head in
            head.hasPrefix("GET /mqtt?signature=expired ")
                ? "HTTP/1.1 403 Forbidden\r\nContent-Length: 28\r\n\r\n{\"message\":\"expired\", \"a\":1}" : nil
        }
        var configuration = try server.configuration(port: front.port)
        configuration.webSocket.prepare = .closure { request, _, attempt in
            request.query = attempt.purpose == .rejected ? "signature=freshest" : "signature=expired"
        }
        let client = MQTTClient(configuration, logger: quiet)
        let events = client.events()
        try await client.start()
        var failure: MQTTConnectionAttemptFailed?
        for await event in events {
            if case .attemptFailed(let failed) = event.kind {
                #expect(failure == nil)
                failure = failed
            }
            if case .connected(let info) = event.kind {
                #expect(info.attempt == 2)
                break
            }
        }
        try await client.publish("hello", to: "greeting", qos: .exactlyOnce)
        try? await client.shutdown()
        #expect(failure?.error.code == .notAuthorized && failure?.error.phase == .upgrade)
        #expect(failure?.error.httpStatus == 403 && failure?.decision == .retryWithFreshCredentials)
        #expect(failure?.retryIn == .zero)
        #expect(failure?.error.webSocket?.body?.contains("\"message\"") == true)
        #expect(failure.map { "\($0.error)".contains("signature=") } == false)
        #expect(front.requests.count == 2)
    }

    @Test(arguments: [
        (404, "", MQTTRetryPolicy.Decision.stop), (400, "", .stop), (426, "", .stop), (501, "", .stop),
        (429, "Retry-After: 40\r\n", .retry(.rateLimited)), (503, "Retry-After: 40\r\n", .retry(.rateLimited)),
        (503, "", .retry(.standard)), (500, "", .retry(.standard)), (200, "", .retry(.slow)), (407, "", .retry(.slow)),
        (302, "Location: ws://elsewhere/\r\n", .redirect), (403, "", .retry(.authentication)),
    ])
    func `that refuses the upgrade is treated according to the status`(
        status: Int, field: String, expected: MQTTRetryPolicy.Decision
    ) async throws {
        let front = try UpgradeFront(to: 1) { _, _ in
            // Without the length of the body, and with one, by turns.
            "HTTP/1.1 \(status) Reason\r\n\(field)"
                + (status < 405 ? "\r\n<html>no</html>" : "Content-Length: 0\r\n\r\n")
        }
        var configuration = try MQTTClientConfiguration(url: "ws://127.0.0.1:\(front.port)")
        configuration.retry.maximumDelay = .seconds(10)
        let client = MQTTClient(configuration, logger: quiet)
        let events = client.events()
        let run = Task { try await client.run() }
        for await event in events {
            guard case .attemptFailed(let failed) = event.kind else { continue }
            #expect(failed.error.httpStatus == status && failed.error.phase == .upgrade)
            // A redirection that is not followed is a slow retry.
            #expect(failed.decision == (expected == .redirect ? .retry(.slow) : expected))
            #expect(!field.hasPrefix("Retry-After") || failed.retryIn ?? .zero >= .seconds(40))
            #expect(
                status != 302 || failed.error.serverReference == "ws://elsewhere:80/mqtt"
                    || failed.error.serverReference == "ws://elsewhere:80/")
            break
        }
        try? await client.shutdown()
        _ = try? await run.value
    }

    @Test func `that redirects is followed to a listed host only`() async throws {
        let server = try await Server.start(isSecure: false)
        let port = server.mosquitto.port
        let front = try UpgradeFront(to: port) { _, _ in
            "HTTP/1.1 307 Moved\r\nLocation: ws://localhost:\(port)/mqtt?x=y\r\nContent-Length: 0\r\n\r\n"
        }
        var configuration = try server.configuration(port: front.port)
        configuration.connection.redirects = .listed
        try await withMQTTClient(configuration, logger: quiet) { client in
            let info = try await client.waitUntilConnected(timeout: .seconds(30))
            #expect(info.endpoint.port == port && info.attempt == 2)
            try await client.publish("hello", to: "a", qos: .atLeastOnce)
        }
    }

    @Test func `behind a port without WebSockets is named`() async throws {
        let mosquitto = try await LocalMosquitto.start()
        var configuration = try MQTTClientConfiguration(url: "ws://127.0.0.1:\(mosquitto.port)")
        configuration.connection.firstConnection = .failFast
        let error = await #expect(throws: MQTTError.self) { try await MQTTClient(configuration, logger: quiet).start() }
        #expect(error?.code == .closed && error?.phase == .upgrade)
        #expect(error?.message.contains("without WebSockets") == true, "\(error.map { "\($0)" } ?? "")")
    }
}

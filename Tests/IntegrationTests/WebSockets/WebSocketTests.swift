// SPDX-License-Identifier: Apache-2.0

import Foundation
import Mosquitto
import MosquittoTesting
import Testing
import Turns

@Suite("A real mosquitto with WebSockets", .turn(.brokers), .timeLimit(.minutes(5)))
struct WebSocketTests {
    @Test(arguments: [Wire.ws, .wss])
    func `gets a new bearer token with each rotation`(wire: Wire) async throws {
        let broker = try await Broker.start(wire)
        let front = wire.isSecure ? nil : try UpgradeFront(to: broker.mosquitto.port) { _, _ in nil }
        var configuration = broker.configuration()
        if let front { configuration.endpoints = [wire.endpoint(port: front.port)] }
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
        let broker = try await Broker.start(.ws)
        let front = try UpgradeFront(to: broker.mosquitto.port) { _, head in
            head.hasPrefix("GET /mqtt?signature=expired ")
                ? "HTTP/1.1 403 Forbidden\r\nContent-Length: 28\r\n\r\n{\"message\":\"expired\", \"a\":1}" : nil
        }
        var configuration = broker.configuration()
        configuration.endpoints = [.webSocket(host: "localhost", port: front.port)]
        configuration.retry.minimumAuthenticationDelay = .seconds(3)
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
        let broker = try await Broker.start(.ws)
        let port = broker.mosquitto.port
        let front = try UpgradeFront(to: port) { _, _ in
            "HTTP/1.1 307 Moved\r\nLocation: ws://localhost:\(port)/mqtt?x=y\r\nContent-Length: 0\r\n\r\n"
        }
        var configuration = broker.configuration()
        configuration.endpoints = [.webSocket(host: "localhost", port: front.port)]
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

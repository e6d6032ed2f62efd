// SPDX-License-Identifier: Apache-2.0

import Foundation
import MosquittoTesting
import Testing
import Turns

@Suite("mosq --retry and --events", .turn(.command), .timeLimit(.minutes(2)))
struct RetryCommandTests {
    private static let quick = [
        "--retry", "--retry-base-delay", "0.05", "--retry-max-delay", "0.2", "--retry-seed", "1", "--events",
    ]

    @Test func `a broker that starts later gets the message`() async throws {
        let port = try freePort()
        let pub = try MosqProcess(["pub", "-p", "\(port)", "-t", "a", "-m", "x", "-q", "1"] + Self.quick)
        #expect(try await pub.waitForEvent("attemptFailed") { $0["attempt"] == 2 })
        let broker = try await ScriptedBroker.start(port: port)
        let result = try await pub.result()
        #expect(result.status == 0)
        #expect(broker.publishes.map(\.text) == ["x"])
        // Nothing but events, in an order that makes sense.
        #expect(result.events.count == result.errorLines.count)
        #expect(result.events.first?["event"] == "attemptStarted")
        #expect(result.events.first?["initial"] == true)
        #expect(result.events.suffix(2).map { $0["event"] } == ["connected", "stopped"])
        let failed = try #require(result.events.first { $0["event"] == "attemptFailed" })
        #expect(failed["phase"] == "connect")
        #expect(failed["code"] == "connectionRefused")
        #expect(failed["decision"] == "retry")
        #expect(failed["retryIn"]?.number != nil)
        await broker.stop()
    }

    @Test func `a limit ends it, with one line after the events`() async throws {
        let result = try await MosqProcess(
            ["sub", "-p", "\(try freePort())", "-t", "a", "--retry-limit", "3"] + Self.quick
        ).result()
        #expect(result.status == 1)
        #expect(result.events.count { $0["event"] == "attemptStarted" } == 3)
        #expect(result.events.last?["event"] == "stopped")
        let last = try #require(result.errorLines.last)
        #expect(last.hasPrefix("Error: "))
        #expect(result.events.count == result.errorLines.count - 1)
    }

    /// MQTT 5.0, section 3.14.2.1: another client has taken the session.
    @Test(arguments: [["--retry"], []])
    func `a subscriber that stops for good is no success (item 3)`(retry: [String]) async throws {
        let broker = try await ScriptedBroker.start()
        let sub = try MosqProcess(["sub", "-p", "\(broker.port)", "-t", "a", "-V", "5", "--events"] + retry)
        #expect(await broker.waitUntil { $0.receivedPackets.contains { $0.type == .subscribe } })
        broker.inject([0xE0, 1, 0x8E])
        let result = try await sub.result()
        #expect(result.status == 7)
        #expect(result.errorLines.last?.hasPrefix("Error: ") == true)
        let lost = try #require(result.events.first { $0["event"] == "disconnected" })
        #expect(lost["code"] == "sessionTakenOver")
        #expect(lost["reasonCode"] == 0x8E)
        #expect(lost["endpoint"]?.string == "localhost:\(broker.port)")
        let stopped = try #require(result.events.last)
        #expect(stopped["event"] == "stopped")
        #expect(stopped["code"] == "sessionTakenOver")
        await broker.stop()
    }

    /// mosquitto 2.0 closes without a code when another client takes the session, in both versions.
    @Test(arguments: ["mqttv311", "mqttv5"])
    func `a limit ends a subscriber that is thrown out again and again (field case 4)`(version: String) async throws {
        let broker = try await ScriptedBroker.start(script: [.serveThenClose(after: .seconds(2))])
        let sub = try MosqProcess(
            ["sub", "-p", "\(broker.port)", "-i", "same", "-t", "a", "-V", version, "--retry-limit", "2"] + Self.quick)
        let result = try await sub.result()
        #expect(result.status == 7)
        // The fifth short connection is suspected, and so is the sixth. One that ends with an operation does not count.
        #expect(broker.connects.count >= 6)
        #expect(result.events.last?["code"] == "sessionTakenOver")
        #expect(result.errorLines.last?.contains("the same client identifier") == true)
        await broker.stop()
    }

    @Test func `a mistake is one line with --events`() async throws {
        let result = try await runMosq("pub", "--events", "--foo")
        #expect(result.status == 1)
        #expect(result.errorLines.count == 1)
    }

    @Test func `an untrusted certificate is told by number, and heals when the file does`() async throws {
        let authority = try TestCertificateAuthority()
        let broker = try await ScriptedBroker.start(tls: try authority.serverIdentity())
        let folder = try TemporaryDirectory()
        let cafile = try folder.write(try TestCertificateAuthority().certificatePEM, to: "ca.pem")
        let arguments = ["pub", "-p", "\(broker.port)", "--cafile", cafile, "-t", "a", "-m", "x", "-q", "1"]

        let once = try await MosqProcess(arguments).result()
        #expect(once.status == 1)
        #expect(once.errors.hasPrefix("Unable to connect (A TLS error occurred.).\n"))
        #expect(once.errors.contains("certificate verification failed"))

        let pub = try MosqProcess(arguments + Self.quick)
        #expect(
            try await pub.waitForEvent("attemptFailed") {
                $0["code"] == "tlsVerification" && $0["tls"]?["verifyError"]?.number != nil
                    && $0["tls"]?["verifyErrorText"]?.string != nil
            })
        try folder.write(authority.certificatePEM, to: "ca.pem")
        let result = try await pub.result()
        #expect(result.status == 0)
        let connected = try #require(result.events.first { $0["event"] == "connected" })
        #expect(connected["tls"]?["version"] == "TLSv1.3")
        await broker.stop()
    }

    @Test func `a token file is read anew, and no token is ever shown`() async throws {
        let issuer = TestTokenIssuer()
        let broker = try await ScriptedBroker.start(authentication: .token(issuer, kickOnExpiry: true))
        let folder = try TemporaryDirectory()
        let stale = issuer.token(lifetime: .seconds(-60))
        let fresh = issuer.token(lifetime: .seconds(600))
        let file = try folder.write(stale + "\n", to: "token")
        let pub = try MosqProcess(
            ["pub", "-p", "\(broker.port)", "-u", "dev1", "--token-file", file, "-t", "a", "-m", "x", "-q", "1", "-d"]
                + Self.quick)
        #expect(try await pub.waitForEvent("attemptFailed") { $0["reasonCode"] == 5 })
        try folder.write(fresh + "\n", to: "token")
        let result = try await pub.result()
        #expect(result.status == 0)
        #expect(broker.publishes.map(\.text) == ["x"])
        let refreshed = try #require(result.events.last { $0["event"] == "credentialsRefreshed" })
        #expect(refreshed["source"] == "file")
        for token in [stale, fresh] {
            let signature = try #require(token.split(separator: ".").last)
            #expect(!(result.errors + result.output).contains(signature))
        }
        await broker.stop()
    }

    @Test func `a password is never shown`() async throws {
        let broker = try await ScriptedBroker.start(authentication: .password("u", "right"))
        let result = try await runMosq(
            "pub", "-p", "\(broker.port)", "-u", "u", "-P", "wr0ng-s3cret", "-t", "a", "-m", "x", "-d", "--events")
        #expect(result.status == 5)
        #expect(!(result.errors + result.output).contains("wr0ng-s3cret"))
        await broker.stop()
    }

    @Test func `the endpoints are tried in turn`() async throws {
        let broker = try await ScriptedBroker.start()
        let closed = try freePort()
        let result = try await MosqProcess(
            [
                "pub", "-h", "127.0.0.1", "-p", "\(closed)", "--endpoint", "127.0.0.1:\(broker.port)", "-t", "a", "-m",
                "x",
            ]
                + Self.quick
        ).result()
        #expect(result.status == 0)
        #expect(
            result.events.filter { $0["event"] == "attemptStarted" }.map { $0["endpoint"]?.string } == [
                "127.0.0.1:\(closed)", "127.0.0.1:\(broker.port)",
            ])
        await broker.stop()
    }

    @Test(arguments: ["listed", "none"])
    func `a redirection is told, and followed if that was said`(policy: String) async throws {
        let target = try await ScriptedBroker.start()
        let reference = Array("127.0.0.1:\(target.port)".utf8)
        let properties = [0x1C, 0, UInt8(reference.count)] + reference
        // MQTT 5.0, section 3.2: no session, "use another server".
        let connack = [0x20, UInt8(properties.count + 3), 0, 0x9C, UInt8(properties.count)] + properties
        let broker = try await ScriptedBroker.start(script: [.reply(connack, close: true), .serve])
        let result = try await MosqProcess(
            [
                "pub", "-V", "5", "-h", "127.0.0.1", "-p", "\(broker.port)", "--redirect", policy, "-t", "a", "-m", "x",
                "-q", "1",
            ] + Self.quick
        ).result()
        #expect(result.status == 0)
        let failed = try #require(result.events.first { $0["event"] == "attemptFailed" })
        #expect(failed["reasonCode"] == 0x9C)
        #expect(failed["decision"]?.string == (policy == "listed" ? "redirect" : "retry"))
        #expect(failed["redirectedTo"]?.string == (policy == "listed" ? "127.0.0.1:\(target.port)" : nil))
        #expect(target.publishes.count == (policy == "listed" ? 1 : 0))
        #expect(broker.publishes.count == (policy == "listed" ? 0 : 1))
        await broker.stop()
        await target.stop()
    }
}

// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Synchronization
import Testing
import Turns

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

@Suite("The TLS of a proxy", .turn(.scripted), .timeLimit(.minutes(2)))
struct SecureProxyCertificateTests {
    struct Flaw: Sendable, CustomTestStringConvertible {
        let testDescription: String
        /// OpenSSL's number of the failed check.
        let code: Int32
        let identity: @Sendable () throws -> TestIdentity

        static let all = [
            Flaw(testDescription: "of the broker's authority", code: 20) { TestTLS.identity },
            Flaw(testDescription: "for another name", code: 62) {
                try ProxyTLS.authority.serverIdentity(names: ["elsewhere.example"], addresses: [])
            },
            Flaw(testDescription: "expired", code: 10) {
                try ProxyTLS.authority.serverIdentity(notAfter: Date(timeIntervalSinceNow: -60))
            },
        ]
    }

    @Test(arguments: Flaw.all, [Wire.plain, .wss])
    func `a certificate that fails is told as the proxy's, until it is renewed`(flaw: Flaw, wire: Wire) async throws {
        try await SecureProxy.run(wire, identity: try flaw.identity()) { peers in
            try await withRunningClient(peers.configuration()) { _, log in
                #expect(await log.wait { !$0.failures.isEmpty })
                let failure = try #require(await log.failures.first)
                #expect(failure.error.code == .proxy && failure.error.phase == .connect, "\(failure.error)")
                #expect(failure.error.tls?.isProxy == true && failure.error.tls?.kind == .verification)
                #expect(failure.error.tls?.verification?.code == flaw.code, "\(failure.error)")
                #expect(failure.error.message.hasPrefix("the proxy's certificate verification failed: "))
                #expect(!failure.error.message.contains("broker"), "\(failure.error)")
                #expect(failure.decision == .retry(.slow))
                // No request, and so neither the broker's name nor a password.
                #expect(peers.proxy.requests.isEmpty)
                try peers.proxy.replaceIdentity(ProxyTLS.identity)
                #expect(await log.wait { !$0.connections.isEmpty })
            }
        }
    }

    @Test func `a broker's certificate that fails within the tunnel is the broker's`() async throws {
        try await SecureProxy.run { peers in
            var configuration = peers.configuration()
            configuration.tls?.trust = .pem(ProxyTLS.authority.certificatePEM)
            try await withRunningClient(configuration) { _, log in
                #expect(await log.wait { !$0.failures.isEmpty })
                let failure = try #require(await log.failures.first)
                #expect(failure.error.code == .tlsVerification && failure.error.phase == .tlsHandshake)
                #expect(failure.error.tls?.isProxy == false)
                #expect(peers.proxy.requests.count == 1)
            }
        }
    }

    @Test func `a broker that is not one is named within the tunnel`() async throws {
        let script: [ConnectionScript] = [.raw(Array("SSH-2.0-OpenSSH\r\n".utf8))]
        try await SecureProxy.run(.plain, broker: script) { peers in
            for isTLS in [true, false] {
                var configuration = peers.configuration()
                if isTLS { configuration.tls = .init() }
                configuration.retry = .none
                let (error, _) = try await runUntilStopped(configuration)
                #expect(error?.message.contains("speaks SSH, not \(isTLS ? "TLS" : "MQTT")") == true, "\(error as Any)")
                #expect(error?.code == (isTLS ? .tlsProtocol : .protocolViolation))
            }
        }
    }

    @Test func `a broker that wants TLS says so within the tunnel`() async throws {
        try await SecureProxy.run(.tls13) { peers in
            var configuration = peers.configuration()
            configuration.tls = nil
            configuration.retry = .none
            let (error, _) = try await runUntilStopped(configuration)
            #expect(error?.tls?.kind == .tlsRequired || error?.code == .closed, "\(error as Any)")
        }
    }

    @Test func `a proxy without TLS is told from one with it`() async throws {
        let web = try await ScriptedBroker.start(script: [.raw(Array("HTTP/1.1 400 Bad Request\r\n\r\n".utf8))])
        try await SecureProxy.run { peers in
            var configuration = peers.configuration(port: web.port)
            configuration.retry = .none
            let (error, _) = try await runUntilStopped(configuration)
            #expect(error?.code == .proxy && error?.phase == .connect, "\(error as Any)")
            #expect(error?.tls?.kind == .notTLS && error?.tls?.isProxy == true)
            #expect(error?.message.contains("the proxy's port speaks HTTP, not TLS") == true, "\(error as Any)")
        }
        await web.stop()
    }

    @Test(arguments: [
        (ConnectionScript.silent, MQTTError.Code.timeout), (.closeOnAccept, .closed), (.resetOnAccept, .closed),
        (.resetMidHandshake, .closed),
    ])
    func `a proxy that does not finish its handshake is left at the deadline of the phase`(
        script: ConnectionScript, code: MQTTError.Code
    ) async throws {
        let hanging = try await ScriptedBroker.start(
            tls: script == .silent ? nil : ProxyTLS.identity, script: [script])
        try await SecureProxy.run { peers in
            var configuration = peers.configuration(port: hanging.port)
            if code == .timeout { configuration.timeouts.connect = .seconds(1) }
            configuration.retry = .none
            let (error, log) = try await runUntilStopped(configuration)
            #expect(error?.code == code && error?.phase == .connect, "\(error as Any)")
            #expect(error?.message.contains("broker") == (code == .timeout), "\(error as Any)")
            #expect(await log.span < 8)
        }
        await hanging.stop()
    }

    @Test func `a check of one's own sees the proxy, and may reject it`() async throws {
        struct Objection: Error {}
        try await SecureProxy.run { peers in
            let hosts = Mutex<[String]>([])
            let isTrusted = Mutex(false)
            var configuration = peers.configuration()
            configuration.connection.proxy?.tls.customVerification = { peer in
                hosts.withLock { $0.append(peer.host) }
                #expect(peer.verifiedChain.last?.subject == "CN=of proxies")
                if !isTrusted.withLock({ $0 }) { throw Objection() }
            }
            try await withRunningClient(configuration) { client, log in
                #expect(await log.wait { !$0.failures.isEmpty })
                let failure = try #require(await log.failures.first)
                #expect(failure.error.code == .proxy && failure.error.tls?.verification?.code == 50)
                #expect(failure.error.underlying is Objection)
                isTrusted.withLock { $0 = true }
                #expect(await log.wait { !$0.connections.isEmpty })
                try await client.publish("x", to: "a", qos: .atLeastOnce)
            }
            #expect(hosts.withLock { $0.count >= 2 && Set($0) == ["localhost"] })
        }
    }

    @Test func `settings that cannot be used stop the client before any connection`() async throws {
        try await SecureProxy.run { peers in
            var configuration = peers.configuration()
            configuration.connection.proxy?.tls.trust = .file("/nonexistent/proxy.pem")
            let (error, _) = try await runUntilStopped(configuration)
            #expect(error?.code == .tlsConfiguration && error?.tls?.isProxy == true, "\(error as Any)")
            #expect(error?.message.hasPrefix("the proxy's TLS: ") == true)
            #expect(peers.proxy.requests.isEmpty)
        }
    }
}

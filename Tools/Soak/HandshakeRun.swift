// SPDX-License-Identifier: Apache-2.0

import Foundation
import Mosquitto
import MosquittoTesting

#if os(Linux)
/// The measurements of a number of reconnects of one kind.
struct HandshakeRun {
    /// Processor time of this process for each reconnect, over the event loop's thread and all others.
    var processorTime: Duration
    /// Processor time of the event loop's thread alone.
    var loopTime: Duration
    /// From the start of the attempt to the accepted connection.
    var latencies: [Duration] = []

    /// Reconnects a new client `count` times, on an event loop of its own.
    static func measure(_ handshake: HandshakeCase, _ broker: HandshakeBroker, count: Int) async throws -> HandshakeRun
    {
        let loop = MosquittoEventLoop()
        let probe = LoopProbe(loop)
        let configuration = configuration(handshake, broker, port: broker.port(for: handshake))
        return try await withMQTTClient(configuration, eventLoop: loop, logger: .criticalOnly) { client in
            var connections = Reconnects(client, handshake)
            // The first reconnects fill caches; the very first one is never resumed.
            for _ in 0..<5 { _ = try await connections.next() }
            let (processor, thread) = (ThisProcess.processorTime(), await probe.processorTime)
            var latencies: [Duration] = []
            for _ in 0..<count { latencies.append(try await connections.next()) }
            return HandshakeRun(
                processorTime: (ThisProcess.processorTime() - processor) / count,
                loopTime: (await probe.processorTime - thread) / count, latencies: latencies)
        }
    }

    /// The bytes of a reconnect, and its round trips.
    struct Traffic {
        var sent: Int
        var received: Int
        var roundTrips: Int
    }

    /// Returns the traffic of the reconnects up to the CONNACK. Time is measured in a separate run, since a proxy in
    /// between takes some of it.
    static func traffic(_ handshake: HandshakeCase, _ broker: HandshakeBroker) async throws -> [Traffic] {
        let proxy = try TCPProxy(to: broker.port(for: handshake))
        let configuration = configuration(handshake, broker, port: proxy.port)
        return try await withMQTTClient(configuration, logger: .criticalOnly) { client in
            var connections = Reconnects(client, handshake)
            var traffic: [Traffic] = []
            for _ in 0..<11 {
                _ = try await connections.next()
                traffic.append(
                    Traffic(
                        sent: proxy[.toBroker].received, received: proxy[.toClient].received,
                        roundTrips: proxy.roundTrips))
            }
            return traffic
        }
    }

    private static func configuration(
        _ handshake: HandshakeCase, _ broker: HandshakeBroker, port: Int
    ) -> MQTTClientConfiguration {
        var tls: MQTTTLSConfiguration?
        if let version = handshake.version {
            var options = MQTTTLSConfiguration(trust: .pem(broker.authority.certificatePEM))
            (options.minimumVersion, options.maximumVersion) = (version, version)
            options.resumesSessions = handshake.kind.isResumed
            if handshake.kind.hasClientCertificate {
                options.identity = .pem(
                    certificate: broker.client.certificatePEM, key: MQTTSecret(broker.client.privateKeyPEM))
            }
            tls = options
        }
        var configuration = MQTTClientConfiguration(host: "localhost", port: port, tls: tls)
        configuration.connection.firstConnection = .failFast
        configuration.clientID = "soak"
        configuration.credentials = CountingCredentials()
        return configuration
    }
}

/// The connections of one client, one rotation after the other.
private struct Reconnects {
    private let client: MQTTClient
    private let handshake: HandshakeCase
    private var events: MQTTConnectionEvents.AsyncIterator
    private var count = 0

    init(_ client: MQTTClient, _ handshake: HandshakeCase) {
        self.client = client
        self.handshake = handshake
        events = client.events().makeAsyncIterator()
    }

    /// Reconnects, and returns how long that took.
    mutating func next() async throws -> Duration {
        try await client.rotateCredentials()
        count += 1
        var start: Date?
        while let event = await events.next() {
            switch event.kind {
            case .attemptStarted: start = event.time
            case .connected(let info):
                // The rotation makes the second connection, which has a session to resume.
                if info.tls.map({ $0.resumed != handshake.kind.isResumed }) ?? false {
                    let what = handshake.kind.isResumed ? "not resumed" : "resumed"
                    throw SoakFailure("\(handshake.columns): connection \(count) was \(what)")
                }
                if let start { return .seconds(event.time.timeIntervalSince(start)) }
            case .attemptFailed(let failed): throw failed.error
            default: break
            }
        }
        throw SoakFailure("\(handshake.columns): the client has stopped")
    }
}
#endif

// SPDX-License-Identifier: Apache-2.0

import MosquittoTesting
import Testing

@testable import Mosquitto

/// A client that publishes to a broker that does not read, and an observer of the messages that finally arrive.
struct OutboundPressure {
    static let queueLimit = 256

    let broker: ScriptedBroker
    let proxy: TCPProxy
    let wire: Wire
    let client: MQTTClient
    let log: EventLog

    static func run<R>(_ wire: Wire, _ body: (OutboundPressure) async throws -> R) async throws -> R {
        let broker = try await ScriptedBroker.start(tls: wire.identity, webSocket: wire.webSocket)
        broker.recordPublishes = false
        let proxy = try TCPProxy(to: broker.port, plan: .init(observesRecords: true), kernelBuffer: 65_536)
        var configuration = configuration(of: proxy, wire)
        configuration.publishing.queue.maximumMessages = queueLimit
        configuration.timeouts.drain = .seconds(30)
        configuration.timeouts.close = .seconds(30)
        let result = try await withBusyClient(configuration) { client, log in
            try await client.waitUntilConnected(timeout: .seconds(30))
            return try await body(OutboundPressure(broker: broker, proxy: proxy, wire: wire, client: client, log: log))
        }
        await broker.stop()
        return result
    }

    /// Enqueues the messages from `first` to `end`, waiting while the queue is full, until all are taken or none is for
    /// a while. Returns the first one that was not.
    func publish(from first: Int, to end: Int, patience: Duration = .milliseconds(300)) async throws -> Int {
        var number = first
        var last = ContinuousClock.now
        while number < end, ContinuousClock.now - last < patience {
            do throws(MQTTError) {
                try client.enqueue(NumberedPayload.make(number), to: "up", qos: .atMostOnce)
                number += 1
                last = .now
            } catch {
                try #require(error.code == .queueFull)
                try await Task.sleep(for: .milliseconds(1))
            }
        }
        return number
    }

    /// Publishes until the kernel takes no more and nothing waits in the queue: what is left is with libmosquitto and
    /// OpenSSL.
    func fillSocket() async throws -> Int {
        var number = 0
        while await !client.session.isStuckInSocket {
            try #require(number < 4_096)
            try client.enqueue(NumberedPayload.make(number), to: "up", qos: .atMostOnce)
            number += 1
            try #require(await eventually { client.session.shared.queue.isEmpty })
        }
        return number
    }

    /// Has another client collect the messages that the broker receives while `body` runs, until their number is the
    /// one that `body` returns.
    func observed(_ body: @Sendable () async throws -> Int) async throws -> [Int?] {
        var configuration = testConfiguration(port: broker.port, tls: nil)
        configuration.tls = proxyless
        configuration.endpoints = [wire.endpoint(configuration.endpoints[0])]
        return try await withBusyClient(configuration) { observer, _ in
            try await observer.subscribe(to: MQTTSubscription("up", qos: .atMostOnce)) { messages in
                let count = try await body()
                var numbers: [Int?] = []
                if count == 0 { return [] }
                for await message in messages {
                    numbers.append(NumberedPayload.number(of: message.payload))
                    if numbers.count == count { break }
                }
                return numbers
            }
        }
    }

    /// The observer connects as the client does, but without the proxy.
    private var proxyless: MQTTTLSConfiguration? {
        client.configuration.tls == nil ? nil : .init(trust: .pem(TestTLS.authority.certificatePEM))
    }
}

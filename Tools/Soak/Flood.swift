// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import Mosquitto
import MosquittoTesting

#if os(Linux)
/// A publisher's attack on memory: small messages with many properties, to a consumer that has stopped.
struct Flood: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Messages of one byte with many properties to a stopped consumer: memory, and another client.")

    @Option(help: "scripts/soak.d/flood-peer.py.")
    var peer: String

    @Option(help: "How many messages the broker sends.")
    var messages = 1_000_000

    @Option(help: "How many user properties each has.")
    var properties = 100

    @Option(help: "How long the consumer does not read, in seconds.")
    var seconds = 20.0

    @Option(help: "Bound of the growth of resident memory, in MiB: docs/scale.md, one subscription.")
    var mostGrowthMB = 176

    @Option(help: "Bound of the 99th percentile of the other client, in milliseconds.")
    var mostLatency = 10.0

    func validate() throws {
        if messages < 1 || seconds <= 0 || !(0...10_000).contains(properties) {
            throw ValidationError("More than nothing of each, and at most 10000 properties.")
        }
    }

    func run() async throws {
        let other = try await LocalMosquitto.start(extraConfiguration: quietBroker)
        let folder = try TemporaryDirectory()
        let peer = try ChildProcess(
            executable: "/usr/bin/env", arguments: ["python3", peer, "\(messages)", "\(properties)"],
            .init(output: folder.path + "/port"))
        let signals = EndingSignals {
            other.kill()
            peer.kill()
        }
        defer {
            peer.kill()
            withExtendedLifetime(signals) {}
        }
        var port = 0
        _ = await eventually {
            let text = try? String(contentsOfFile: folder.path + "/port", encoding: .utf8)
            port = text.flatMap { $0.hasSuffix("\n") ? Int($0.dropLast()) : nil } ?? 0
            return port > 0
        }
        let loop = MosquittoEventLoop()
        func client(_ name: String, _ port: Int) -> MQTTClient {
            var configuration = MQTTClientConfiguration(host: "127.0.0.1", port: port, tls: nil)
            configuration.clientID = name
            // The peer answers no PINGREQ while it sends.
            configuration.keepAlive = .seconds(3_600)
            return MQTTClient(configuration, eventLoop: loop, logger: .criticalOnly)
        }
        let (consumer, neighbour) = (client("consumer", port), client("neighbour", other.port))
        for client in [consumer, neighbour] { try await client.start() }
        for client in [consumer, neighbour] { try await client.waitUntilConnected(timeout: .seconds(10)) }
        let quiet = try await RoundTrips.measure(neighbour) { try await Task.sleep(for: .seconds(3)) }.times
        let start = try ThisProcess.residentKB()
        let (stopped, reading) = try await consumer.subscribe(to: MQTTSubscription("t")) { incoming in
            let stopped = try await RoundTrips.measure(neighbour) { try await Self.peak(for: .seconds(seconds)) }
            let reading = try await RoundTrips.measure(neighbour) {
                let all = Task { [messages, properties] in
                    var count = 0
                    for await message in incoming {
                        precondition(message.properties.userProperties.count == properties)
                        count += 1
                        if count == messages { break }
                    }
                    return count
                }
                let watch = Task { try await Self.peak(for: .seconds(600)) }
                let received = await all.value
                watch.cancel()
                return (most: try await watch.value, received: received)
            }
            return (stopped, reading)
        }
        let end = try ThisProcess.residentKB()
        for client in [consumer, neighbour] { try? await client.shutdown() }
        await other.terminate()

        print("       the other client before: \(latencies(quiet))")
        print("       resident memory at the start \(start) KB, at the end \(end) KB")
        var bounds = Bounds()
        let phases = [
            ("while it is stopped", stopped.times, stopped.result),
            ("while it reads", reading.times, reading.result.most),
        ]
        for (name, times, most) in phases {
            let growth = (most - start) >> 10
            bounds.check(growth <= mostGrowthMB, "\(name), memory grew by \(growth) MiB; bound \(mostGrowthMB) MiB")
            let isQuick = quantile(0.99, times) < .milliseconds(mostLatency)
            bounds.check(isQuick, "\(name), the other client: \(latencies(times)); bound of p99 \(mostLatency) ms")
        }
        let received = reading.result.received
        bounds.check(received == messages, "\(received) of \(messages) messages have come")
        try bounds.enforce()
    }

    /// Returns the most resident memory until the time is over or the task is cancelled.
    private static func peak(for time: Duration) async throws -> Int {
        let end = ContinuousClock.now + time
        var most = try ThisProcess.residentKB()
        while ContinuousClock.now < end, (try? await Task.sleep(for: .milliseconds(50))) != nil {
            most = max(most, try ThisProcess.residentKB())
        }
        return most
    }
}
#endif

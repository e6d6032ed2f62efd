// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Mosquitto

/// `mosq bench sub`: how fast messages are received.
struct BenchSub: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sub", abstract: "Receive messages, and measure from the first one on.",
        discussion: """
            The latency is the time since bench pub sent the message, whose payload says when: at least 16 bytes are needed, and \
            clocks that agree. Messages of others are counted, without a latency.
            """)

    @Option(
        name: [.customShort("t"), .customLong("topic")], parsing: .unconditionalSingleValue,
        help: "A topic filter. May be repeated.")
    var topics: [String] = []

    @Option(
        name: [.customShort("n"), .customLong("count")], parsing: .unconditional,
        help: "How many messages, of all clients together.")
    var count = 100_000

    @OptionGroup(title: "Benchmark")
    var bench: BenchOptions

    @OptionGroup
    var connection: ConnectionOptions

    func run() async throws {
        if topics.isEmpty { throw CommandFailure(message: "A topic must be given with -t.") }
        try BenchOptions.check(count: count)
        let qos = try connection.messageQoS
        let subscriptions = try topics.map { topic in
            let filter = MQTTTopicFilter(topic)
            do { try filter.validate() } catch {
                throw CommandFailure(
                    message: "Invalid subscription topic '\(topic)', are all '+' and '#' wildcards correct?")
            }
            return MQTTSubscription(filter, qos: qos)
        }
        let run = try BenchRun(connection, bench, goal: count)
        try await run.run { clients, meter in
            let readers = clients.clients.map { client in
                // Starts before the client does, and runs here up to its first suspension: a resumed session may
                // deliver messages at once.
                Task.begunHere { await Self.read(client, subscriptions, clients, meter) }
            }
            do {
                try await clients.connectAll()
            } catch {
                await clients.shutdown()
            }
            for reader in readers { await reader.value }
        }
    }

    /// Counts messages until enough have arrived, then ends all clients.
    private static func read(
        _ client: MQTTClient, _ subscriptions: [MQTTSubscription], _ clients: BenchClients, _ meter: BenchMeter
    ) async {
        do {
            try await client.subscribe(to: subscriptions) { messages in
                for await message in messages {
                    guard let number = meter.takeNumber() else { break }
                    if number == 0 { meter.start() }
                    let latency = BenchStamp.age(of: message.payload)
                    if meter.count(bytes: message.payload.count, latency: latency) == meter.goal {
                        meter.stop()
                        break
                    }
                }
                // Shuts down inside the scope: its end would unsubscribe first.
                await clients.shutdown()
            }
        } catch {
            // The end of the client was counted when it happened.
            if (error as? MQTTError)?.code == .operationRefused { meter.fail(error) }
            await clients.shutdown()
        }
    }
}

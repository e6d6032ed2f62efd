// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Mosquitto

/// `mosq bench pub`: how fast messages are published.
struct BenchPub: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pub", abstract: "Publish messages, and measure how long the broker takes to acknowledge them.",
        discussion: """
            The latency of a message ends when its publish does: with QoS 1 at the PUBACK, with QoS 2 at the PUBCOMP, with QoS 0 \
            when it was handed to the connection. With --rate it begins when the message was due.
            """)

    private static let defaultWindow = 1_000

    @Option(name: [.customShort("t"), .long], parsing: .unconditional, help: "The topic.")
    var topic: String?

    @Option(
        name: [.customShort("s"), .long], parsing: .unconditional,
        help: "The bytes of a payload; the first 16 are the time, for bench sub.")
    var size = 100

    @Option(name: [.customShort("n"), .customLong("count")], parsing: .unconditional, help: "How many messages.")
    var count = 100_000

    @Option(
        name: .long, parsing: .unconditional,
        help: "How many messages a client has under way at once. Default: \(defaultWindow).")
    var window: Int?

    @Option(name: .long, parsing: .unconditional, help: "Messages a second, of all clients. Default: as many as go.")
    var rate: Double?

    @Flag(
        name: .customLong("nowait"),
        help: "Queue the messages, and wait at the end only; the latency is not measured.")
    var noWait = false

    @OptionGroup(title: "Benchmark")
    var bench: BenchOptions

    @OptionGroup
    var connection: ConnectionOptions

    func run() async throws {
        guard let topic else { throw CommandFailure(message: "A topic must be given with -t.") }
        let name = MQTTTopic(topic)
        do { try name.validate() } catch {
            throw CommandFailure(message: "Invalid publish topic '\(topic)', does it contain '+' or '#'?")
        }
        try BenchOptions.check(count: count)
        try BenchOptions.check(rate: rate)
        if !(0...268_435_439).contains(size) {
            throw CommandFailure(message: "-s \(size) is not between 0 and 268435439 bytes.")
        }
        if let window, !(1...1_000_000).contains(window) {
            throw CommandFailure(message: "--window \(window) is not between 1 and 1000000.")
        }
        let qos = try connection.messageQoS
        let window = window ?? Self.defaultWindow
        let run = try BenchRun(
            connection, bench, goal: count, maximumInFlight: connection.maximumInFlight ?? window)
        let load = BenchLoad(topic: name, qos: qos, size: size, rate: rate)
        try await run.run { [self] clients, meter in
            try await clients.connectAll()
            meter.start()
            if noWait {
                await load.enqueue(clients.clients, meter)
            } else {
                await load.publish(clients.clients, meter, window: window)
            }
        }
    }
}

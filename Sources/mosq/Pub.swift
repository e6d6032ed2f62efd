// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Mosquitto

/// `mosq pub`, which does what `mosquitto_pub` does.
struct Pub: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pub", abstract: "Publish messages.", helpNames: .long)

    @Option(name: [.customShort("t"), .long], parsing: .unconditional, help: "The topic.")
    var topic: String?

    @OptionGroup(title: "Message")
    var source: PayloadOptions

    @Flag(name: [.customShort("l"), .customLong("stdin-line")], help: "Send each line of standard input as a message.")
    var lines = false

    @Flag(name: [.customShort("r"), .long], help: "Let the broker retain the message.")
    var retain = false

    @Option(
        name: .customLong("repeat"), parsing: .unconditional, help: "Publish so many times (not with -l).")
    var repetitions = 1

    @Option(
        name: .customLong("repeat-delay"), parsing: .unconditional, help: "Wait so many seconds between repetitions.")
    var repeatDelay = 0.0

    @OptionGroup
    var health: HealthOptions

    @OptionGroup
    var connection: ConnectionOptions

    func run() async throws {
        if repetitions < 1 { throw CommandFailure.usage("--repeat argument must be >0.") }
        if repeatDelay < 0 { throw CommandFailure.usage("--repeat-delay argument must be >=0.0.") }
        let payload = try payload()
        guard let topic, let payload else {
            throw CommandFailure(message: "Both topic and message must be supplied.")
        }
        let delay = repeatDelay == 0 ? .zero : try RetryOptions.seconds(repeatDelay, "--repeat-delay")
        let name = MQTTTopic(topic)
        do { try name.validate() } catch {
            throw CommandFailure.usage("Invalid publish topic '\(topic)', does it contain '+' or '#'?")
        }
        let qos = try connection.messageQoS
        let properties = try connection.publishProperties()
        switch payload {
        case .once(let bytes):
            try await ClientRun(connection, .publish, health).run { [self] client in
                var publisher = Publisher(
                    client: client, topic: name, qos: qos, retain: retain, properties: properties, warns: warns)
                for repetition in 0..<repetitions {
                    if repetition > 0, delay > .zero { try await Task.sleep(for: delay) }
                    try await publisher.publish(bytes)
                }
            }
        case .lines:
            try await ClientRun(connection, .publishLines, health).run { client in
                // Reads no input before the client is connected.
                try await client.waitUntilConnected()
                var publisher = Publisher(
                    client: client, topic: name, qos: qos, retain: retain, properties: properties, warns: warns)
                try await publisher.publishLines()
            }
        }
    }

    func payload() throws -> PayloadOptions.Payload? {
        try source.payload(lines: lines, isQuiet: connection.quiet)
    }

    private var warns: Bool { !connection.quiet && !connection.retry.events }
}

extension Pub: ReadableArguments {
    mutating func read(_ words: inout ArgumentReader) {
        topic = words.text("-t", "--topic")
        source = words.group()
        lines = words.flag("-l", "--stdin-line")
        retain = words.flag("-r", "--retain")
        repetitions = words.number("--repeat") ?? 1
        repeatDelay = words.number("--repeat-delay") ?? 0
        health = words.group()
        connection = words.group()
    }
}

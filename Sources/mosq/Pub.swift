import ArgumentParser
import FoundationEssentials
import Mosquitto

/// `mosq pub`, which does what `mosquitto_pub` does.
struct Pub: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Publish messages.", helpNames: .long)

    @OptionGroup(title: "Connection")
    var connection: ConnectionOptions

    @Option(name: [.customShort("t")], help: "The topic.")
    var topic: String?

    @Option(name: [.customShort("m")], parsing: .unconditional, help: "The message.")
    var message: String?

    @Option(name: [.customShort("f")], help: "Send the content of this file.")
    var file: String?

    @Flag(name: [.customShort("n")], help: "Send an empty message.")
    var empty = false

    @Flag(name: [.customShort("l")], help: "Send each line of standard input as a message.")
    var lines = false

    @Flag(name: [.customShort("s")], help: "Send all of standard input as one message.")
    var wholeInput = false

    @Flag(name: [.customShort("r")], help: "Let the broker retain the message.")
    var retain = false

    @Option(name: .customLong("repeat"), help: "Publish so many times (not with -l).")
    var repetitions = 1

    @Option(name: .customLong("repeat-delay"), help: "Wait so many seconds between repetitions.")
    var repeatDelay = 0.0

    func run() async throws {
        let sources = [message != nil, file != nil, empty, lines, wholeInput].filter { $0 }.count
        guard let topic, sources > 0 else {
            throw CommandFailure(message: "Error: Both topic and message must be supplied.")
        }
        if sources > 1 { throw CommandFailure(message: "Error: Only one type of message can be sent at once.") }
        if repetitions < 1 { throw CommandFailure(message: "Error: --repeat argument must be >0.") }
        if repeatDelay < 0 { throw CommandFailure(message: "Error: --repeat-delay argument must be >=0.0.") }
        let name = MQTTTopic(topic)
        do { try name.validate() } catch {
            throw CommandFailure(message: "Error: Invalid publish topic '\(topic)', does it contain '+' or '#'?")
        }
        let qos = try connection.messageQoS
        let payload = try payload()
        let command = self
        try await ClientRun(connection, program: "mosq_pub").run { client in
            if let payload {
                for repetition in 0..<command.repetitions {
                    if repetition > 0, command.repeatDelay > 0 {
                        try await Task.sleep(for: .seconds(command.repeatDelay))
                    }
                    try await client.publish(payload, to: name, qos: qos, retain: command.retain)
                }
            } else {
                try await command.publishLines(client, name, qos)
            }
        }
    }

    /// `nil` for `-l`, whose messages come one by one.
    private func payload() throws -> [UInt8]? {
        if let message { return Array(message.utf8) }
        if empty { return [] }
        if let file {
            guard let data = try? Data(contentsOf: URL(filePath: file)) else {
                throw CommandFailure(message: "Error: Unable to read file \"\(file)\".")
            }
            return Array(data)
        }
        return wholeInput ? StandardInput.all() : nil
    }

    /// Every 256th line is waited for, which is behind the others: memory is bounded, and the input is read at the rate of
    /// the broker.
    private func publishLines(_ client: MQTTClient, _ topic: MQTTTopic, _ qos: MQTTQoS) async throws {
        var count = 0
        for await line in StandardInput.lines() {
            count += 1
            if count.isMultiple(of: 256) {
                try await client.publish(line, to: topic, qos: qos, retain: retain)
            } else {
                try client.enqueue(line, to: topic, qos: qos, retain: retain)
            }
        }
        // The connection is made, and its failure seen, even if there was no line.
        if count == 0 { try await client.waitUntilConnected() }
    }
}

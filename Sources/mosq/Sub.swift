import ArgumentParser
import Mosquitto

/// `mosq sub`, which does what `mosquitto_sub` does.
struct Sub: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Subscribe to topics and print the messages.", helpNames: .long)

    @OptionGroup(title: "Connection")
    var connection: ConnectionOptions

    @Option(name: [.customShort("t")], help: "A topic filter. May be repeated.")
    var topics: [String] = []

    @Option(name: [.customShort("T")], help: "Messages of this topic filter are not printed. May be repeated.")
    var filteredOut: [String] = []

    @Option(name: [.customShort("C")], help: "End after so many messages.")
    var count: Int?

    @Option(name: [.customShort("W")], help: "End with status 27 after so many seconds.")
    var timeout: Int?

    @Flag(name: [.customShort("E")], help: "End when the broker has acknowledged the subscriptions.")
    var exitAfterSubscribing = false

    @Flag(name: [.customShort("v")], help: "Print the topic before each message.")
    var verbose = false

    @Flag(name: [.customShort("N")], help: "Print no newline after a message.")
    var noNewline = false

    @Flag(name: [.customShort("R")], help: "Do not print retained messages.")
    var noRetained = false

    @Flag(name: .customLong("retained-only"), help: "Print retained messages only, and end at the first other one.")
    var retainedOnly = false

    func run() async throws {
        if topics.isEmpty { throw CommandFailure(message: "Error: You must specify a topic to subscribe to.") }
        if let count, count < 1 { throw CommandFailure(message: "Error: Invalid message count \"\(count)\".") }
        if let timeout, timeout < 1 { throw CommandFailure(message: "Error: Invalid timeout \"\(timeout)\".") }
        for topic in topics + filteredOut {
            do { try MQTTTopicFilter(topic).validate() } catch {
                throw CommandFailure(
                    message: "Error: Invalid subscription topic '\(topic)', are all '+' and '#' wildcards correct?")
            }
        }
        let qos = try connection.messageQoS
        let subscriptions = topics.map { MQTTSubscription(MQTTTopicFilter($0), qos: qos) }
        let command = self
        try await ClientRun(connection, program: "mosq_sub", timeout: timeout.map { .seconds($0) }).run { client in
            try await client.subscribe(to: subscriptions) { messages in
                if !command.exitAfterSubscribing { await command.print(messages) }
            }
        }
    }

    private func print(_ messages: MQTTMessages) async {
        let filters = filteredOut.map { MQTTTopicFilter($0) }
        var output = StandardOutput()
        var remaining = count
        for await message in messages {
            if retainedOnly, !message.retain { break }
            if noRetained, message.retain { continue }
            if filters.contains(where: { $0.matches(message.topic) }) { continue }
            if verbose {
                output.write(message.topic.utf8)
                output.write(" ".utf8)
            }
            output.write(message.payload)
            if !noNewline { output.write("\n".utf8) }
            // A person or the next program of the pipe sees a message when it has come, not when a buffer is full.
            if messages.isIdle { output.flush() }
            if let left = remaining {
                if left == 1 { break }
                remaining = left - 1
            }
        }
        output.flush()
    }
}

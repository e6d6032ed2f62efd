import ArgumentParser
import Mosquitto

/// `mosq sub`, which does what `mosquitto_sub` does.
struct Sub: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Subscribe to topics and print the messages.")

    @Option(
        name: [.customShort("t"), .customLong("topic")], parsing: .unconditionalSingleValue,
        help: "A topic filter. May be repeated.")
    var topics: [String] = []

    @OptionGroup(title: "Output")
    var output: MessagePrinter

    @Option(name: .customShort("C"), parsing: .unconditional, help: "End after so many messages.")
    var count: Int?

    @Option(name: .customShort("W"), parsing: .unconditional, help: "End with status 27 after so many seconds.")
    var timeout: Int?

    @Flag(name: .customShort("E"), help: "End when the broker has acknowledged the subscriptions.")
    var exitAfterSubscribing = false

    @Flag(name: .long, help: "Keep the retain flag as it was published. Applies to MQTT 5.0 only.")
    var retainAsPublished = false

    @OptionGroup(title: "Connection")
    var connection: ConnectionOptions

    @OptionGroup(visibility: .hidden)
    var refused: RefusedSubOptions

    func run() async throws {
        try refused.check()
        if topics.isEmpty { throw CommandFailure(message: "You must specify a topic to subscribe to.") }
        if let count, count < 1 { throw CommandFailure(message: "Invalid message count \"\(count)\".") }
        if let timeout, !(1...0xFFFF_FFFF).contains(timeout) {
            throw CommandFailure(message: "Invalid timeout \"\(timeout)\".")
        }
        try output.check()
        let subscriptions = try subscriptions()
        // The broker holds back what would not be printed.
        let receiveMaximum = count.flatMap { $0 < 20 ? UInt16($0) : nil }
        let run = try ClientRun(
            connection, .subscribe, receiveMaximum: receiveMaximum, timeout: timeout.map { .seconds($0) })
        try await run.run { client in
            do {
                try await client.subscribe(to: subscriptions) { messages in
                    if !exitAfterSubscribing { await output.print(messages, limit: count) }
                    // Inside the scope, whose end would unsubscribe: a persistent session keeps its subscriptions.
                    await client.shutdown()
                }
            } catch let error as MQTTError where error.code == .operationRefused && subscriptions.count == 1 {
                // mosquitto_sub has nothing to wait for, and takes that for a success.
                if !connection.quiet, !connection.retry.events {
                    standardError("All subscription requests were denied.")
                }
            }
        }
    }

    private func subscriptions() throws -> [MQTTSubscription] {
        let qos = try connection.messageQoS
        let isVersion5 = try connection.protocolVersion() == .v5_0
        return try topics.map { topic in
            let filter = MQTTTopicFilter(topic)
            do { try filter.validate() } catch {
                throw CommandFailure(
                    message: "Invalid subscription topic '\(topic)', are all '+' and '#' wildcards correct?")
            }
            return MQTTSubscription(
                filter, qos: qos, retainAsPublished: isVersion5 && retainAsPublished,
                retainHandling: isVersion5 && output.noRetained ? .doNotSend : .sendOnSubscribe)
        }
    }
}

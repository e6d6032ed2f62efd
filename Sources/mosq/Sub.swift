// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Mosquitto

/// `mosq sub`, which does what `mosquitto_sub` does.
struct Sub: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sub", abstract: "Subscribe to topics and print the messages.", helpNames: .long)

    @Option(
        name: [.customShort("t"), .customLong("topic")], parsing: .unconditionalSingleValue,
        help: "A topic filter. May be repeated.")
    var topics: [String] = []

    @Option(
        name: [.customShort("U"), .customLong("unsubscribe")], parsing: .unconditionalSingleValue,
        help: "A topic filter to unsubscribe from, which the session (-c) has from an earlier run. May be repeated.")
    var unsubscribedTopics: [String] = []

    @OptionGroup(title: "Output")
    var output: MessagePrinter

    @OptionGroup
    var messageFilter: MessageFilter

    @OptionGroup
    var chance: RandomFilterOption

    @Option(name: .customShort("C"), parsing: .unconditional, help: "End after so many messages.")
    var count: Int?

    @OptionGroup
    var timeout: TimeoutOption

    @Flag(name: .customShort("E"), help: "End when the broker has acknowledged the subscriptions.")
    var exitAfterSubscribing = false

    @OptionGroup
    var remover: RetainedRemover

    @OptionGroup
    var subscription: SubscriptionOptions

    @OptionGroup
    var health: HealthOptions

    @OptionGroup
    var connection: ConnectionOptions

    @OptionGroup(visibility: .hidden)
    var refused: RefusedSubOptions

    func run() async throws {
        try refused.check()
        let subscriptions = try topics.map {
            try subscription.subscription(try filter($0, "subscription"), noRetained: output.noRetained, connection)
        }
        // Keeps a filter that this command also subscribes to.
        let unwanted = try unsubscribedTopics.map { try filter($0, "unsubscribe") }
            .filter { filter in !subscriptions.contains { $0.filter == filter } }
        if let count, count < 1 { throw CommandFailure.usage("Invalid message count \"\(count)\".") }
        let limit = try timeout.duration()
        try chance.check()
        // The broker holds messages back that would not be printed.
        let receiveMaximum = count.flatMap { $0 < 20 ? UInt16($0) : nil }
        let run = try ClientRun(connection, .subscribe, health, receiveMaximum: receiveMaximum, timeout: limit)
        if subscriptions.isEmpty { throw CommandFailure.usage("You must specify a topic to subscribe to.") }
        try messageFilter.check(noRetained: output.noRetained)
        try output.check()
        try await run.run { client in
            try await subscribe(client, to: subscriptions) { messages in
                if !unwanted.isEmpty { try await client.unsubscribe(from: unwanted) }
                var failure: (any Error)?
                if !exitAfterSubscribing {
                    do { try await print(messages, client) } catch { failure = error }
                }
                // Shuts down inside the scope: its end would unsubscribe in a clean session, and mosquitto_sub does
                // not.
                await run.leave(client)
                if let failure { throw failure }
            }
        }
    }

    /// Subscribes to the filters that the broker grants: a partial grant is enough for mosquitto_sub.
    private func subscribe(
        _ client: MQTTClient, to subscriptions: [MQTTSubscription], _ body: (MQTTMessages) async throws -> Void
    ) async throws {
        do {
            try await client.subscribe(toGrantedOf: subscriptions) { messages in
                sayGranted(messages.grantedReasonCodes)
                try await body(messages)
            }
        } catch let error as MQTTError where !error.refusedFilters.isEmpty {
            // With nothing to wait for, the command succeeds.
            if warns { standardError("All subscription requests were denied.") }
        }
    }

    private var warns: Bool { !connection.quiet && !connection.retry.events }

    private func sayGranted(_ codes: [MQTTReasonCode]) {
        guard connection.debug, !connection.quiet else { return }
        var output = StandardOutput()
        output.write("Subscribed (mid: 1): \(codes.map { "\($0.rawValue)" }.joined(separator: ", "))\n".utf8)
        output.flush()
    }

    private func print(_ messages: MQTTMessages, _ client: MQTTClient) async throws {
        var generator = SystemRandomNumberGenerator()
        try await output.print(
            messages, limit: count, writesEach: ClientRun.writesEach(client), filter: messageFilter, warns: warns
        ) { message in
            await remover.remove(message, client)
            return chance.passes(using: &generator)
        }
    }

    /// - Parameter kind: the purpose of the filter.
    private func filter(_ topic: String, _ kind: String) throws -> MQTTTopicFilter {
        let filter = MQTTTopicFilter(topic)
        do { try filter.validate() } catch {
            throw CommandFailure.usage("Invalid \(kind) topic '\(topic)', are all '+' and '#' wildcards correct?")
        }
        return filter
    }
}

extension Sub: ReadableArguments {
    mutating func read(_ words: inout ArgumentReader) {
        topics = words.texts("-t", "--topic")
        unsubscribedTopics = words.texts("-U", "--unsubscribe")
        output = words.group()
        messageFilter = words.group()
        chance = words.group()
        count = words.number("-C")
        timeout = words.group()
        exitAfterSubscribing = words.flag("-E")
        remover = words.group()
        subscription = words.group()
        health = words.group()
        connection = words.group()
        refused = words.group()
    }
}

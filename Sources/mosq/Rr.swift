// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Mosquitto

/// `mosq rr`, which does what `mosquitto_rr` does: publishes a request, and prints the first message on the response
/// topic.
struct Rr: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rr", abstract: "Publish a request and print its response.", helpNames: .long)

    @Option(
        name: [.customShort("t"), .long], parsing: .unconditional, help: "The topic of the request.")
    var topic: String?

    @Option(
        name: .customShort("e"), parsing: .unconditional, help: "The topic of the response, which is subscribed to.")
    var responseTopic: String?

    @OptionGroup(title: "Message")
    var source: PayloadOptions

    @OptionGroup(title: "Output")
    var output: MessagePrinter

    @OptionGroup
    var timeout: TimeoutOption

    @OptionGroup
    var subscription: SubscriptionOptions

    @OptionGroup
    var health: HealthOptions

    @OptionGroup(title: "Connection")
    var connection: ConnectionOptions

    @OptionGroup(visibility: .hidden)
    var refused: RefusedRrOptions

    /// The flags for the protocol version that mosquitto_rr uses by default.
    static let version = ["--protocol-version", "mqttv5"]

    func run() async throws {
        try refused.check()
        let topic = try topic.map { try name($0, "publish") }
        let responseTopic = try responseTopic.map { try name($0, "response") }
        let limit = try timeout.duration()
        let payload = try source.payload(isQuiet: connection.quiet)
        var properties = try connection.publishProperties()
        let isDuplicate = properties.responseTopic != nil
        // As many as are printed; the broker holds the others back.
        let run = try ClientRun(connection, .request, health, receiveMaximum: 1, timeout: limit)
        guard let topic, let responseTopic, case .once(let bytes) = payload else {
            throw CommandFailure.usage("All of topic, message, and response topic must be supplied.")
        }
        if isDuplicate {
            throw CommandFailure(lines: ["Error in PUBLISH properties: Duplicate response topic."], status: 1)
        }
        if try connection.protocolVersion() == .v5_0 { properties.responseTopic = responseTopic.name }
        try output.check()
        let qos = try connection.messageQoS
        let filter = try subscription.subscription(
            MQTTTopicFilter(responseTopic.name), noRetained: output.noRetained, connection)
        let request = properties
        try await run.run { client in
            do {
                try await client.subscribe(to: filter) { messages in
                    // A response may overtake the acknowledgement of its request.
                    async let refusal: Void = publish(bytes, to: topic, qos, request, client)
                    try await output.print(
                        messages, limit: 1, writesEach: ClientRun.writesEach(client), warns: warns)
                    await run.leave(client)
                    try await refusal
                }
            } catch let error as MQTTError where !error.refusedFilters.isEmpty {
                // mosquitto_rr treats a refusal as success.
                if warns, let code = error.rawReasonCode { standardError(CommandExit.reasonString(code)) }
            }
        }
    }

    /// mosquitto_rr does not treat a request without a receiver as a failure: it waits.
    private func publish(
        _ bytes: [UInt8], to topic: MQTTTopic, _ qos: MQTTQoS, _ properties: MQTTPublishProperties, _ client: MQTTClient
    ) async throws {
        do throws(MQTTError) {
            try await client.publish(bytes, to: topic, qos: qos, properties: properties)
        } catch {
            if error.code != .operationRefused, error.code != .stopped { throw error }
        }
    }

    private var warns: Bool { !connection.quiet && !connection.retry.events }

    private func name(_ topic: String, _ kind: String) throws -> MQTTTopic {
        let name = MQTTTopic(topic)
        do { try name.validate() } catch {
            throw CommandFailure.usage("Invalid \(kind) topic '\(topic)', does it contain '+' or '#'?")
        }
        return name
    }
}

extension Rr: ReadableArguments {
    mutating func read(_ words: inout ArgumentReader) {
        topic = words.text("-t", "--topic")
        responseTopic = words.text("-e")
        source = words.group()
        output = words.group()
        timeout = words.group()
        subscription = words.group()
        health = words.group()
        connection = words.group()
        refused = words.group()
    }
}

// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Mosquitto

/// The will: the message that the broker publishes if the command dies.
struct WillOptions: ParsableArguments {
    @Option(name: .customLong("will-topic"), parsing: .unconditional, help: "The topic of the will.")
    var topic: String?

    @Option(name: .customLong("will-payload"), parsing: .unconditional, help: "The payload of the will.")
    var payload: String?

    @Option(
        name: .customLong("will-payload-hex"), parsing: .unconditional,
        help: ArgumentHelp("A --will-payload that is not UTF-8.", visibility: .hidden))
    var payloadBytes: String?

    @Option(name: .customLong("will-qos"), parsing: .unconditional, help: "The quality of service of the will.")
    var qos = 0

    @Flag(name: .customLong("will-retain"), help: "Retain the will.")
    var retain = false

    /// - Parameter properties: the source of the will's properties (`-D will`).
    func will(_ properties: PropertyOptions?) throws -> MQTTWill? {
        let qos = try ConnectionOptions.qos(qos, "Invalid will QoS \(qos).")
        guard let topic else {
            if payload != nil || payloadBytes != nil {
                throw CommandFailure.usage("Will payload given, but no will topic given.")
            }
            if retain { throw CommandFailure.usage("Will retain given, but no will topic given.") }
            return nil
        }
        let name = MQTTTopic(topic)
        do { try name.validate() } catch {
            throw CommandFailure.usage("Invalid will topic '\(topic)', does it contain '+' or '#'?")
        }
        var will = MQTTWill(topic: name, payload: payload ?? "", qos: qos, retain: retain)
        if let payloadBytes { will.payload = try ArgumentEncoding.bytes(payloadBytes) }
        try properties?.apply(to: &will)
        return will
    }
}

extension WillOptions: ReadableArguments {
    mutating func read(_ words: inout ArgumentReader) {
        topic = words.text("--will-topic")
        payload = words.text("--will-payload")
        payloadBytes = words.text("--will-payload-hex")
        qos = words.number("--will-qos") ?? 0
        retain = words.flag("--will-retain")
    }
}

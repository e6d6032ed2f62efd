// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Mosquitto

/// `--remove-retained`: clears the retained messages that were received.
struct RetainedRemover: ParsableArguments {
    @Flag(
        name: .customLong("remove-retained"),
        help: "Clear the retained messages that were received at the broker. -T leaves some out.")
    var removes = false

    /// Clears one message. The shutdown of the client waits for the broker's acknowledgement.
    func remove(_ message: MQTTMessage, _ client: MQTTClient) async {
        guard removes, message.retain else { return }
        let topic = MQTTTopic(message.topic)
        do {
            try client.enqueue([UInt8](), to: topic, qos: .atLeastOnce, retain: true)
        } catch {
            // The queue is full: waits for room. A broker that refuses keeps the message, which mosquitto_sub does not
            // report either.
            _ = try? await client.publish([UInt8](), to: topic, qos: .atLeastOnce, retain: true)
        }
    }
}

extension RetainedRemover: ReadableArguments {
    mutating func read(_ words: inout ArgumentReader) {
        removes = words.flag("--remove-retained")
    }
}

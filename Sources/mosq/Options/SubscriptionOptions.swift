// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Mosquitto

/// Flags of a subscription, which decide how the broker sends its messages.
struct SubscriptionOptions: ParsableArguments {
    @Flag(name: .long, help: "Keep the retain flag as it was published. Applies to MQTT 5.0 only.")
    var retainAsPublished = false

    @Option(
        name: .customLong("retain-handling"), parsing: .unconditional,
        help:
            "When retained messages are sent: always, new (with a new subscription) or never. Applies to MQTT 5.0 only."
    )
    var retainHandling: String?

    /// The subscription that the flags describe.
    ///
    /// - Parameter noRetained: `-R`: retained messages are not printed, and need not be sent.
    func subscription(
        _ filter: MQTTTopicFilter, noRetained: Bool, _ connection: ConnectionOptions
    ) throws -> MQTTSubscription {
        var subscription = MQTTSubscription(filter, qos: try connection.messageQoS)
        let handling = try handling(noRetained: noRetained)
        // MQTT 3.1.1 has no options; mosquitto's commands leave them out then.
        guard try connection.protocolVersion() == .v5_0 else { return subscription }
        subscription.retainAsPublished = retainAsPublished
        subscription.retainHandling = handling
        subscription.userProperties = try connection.properties.subscribe()
        subscription.identifier = try connection.properties.subscriptionIdentifier()
        return subscription
    }

    private func handling(noRetained: Bool) throws -> MQTTSubscription.RetainHandling {
        switch retainHandling {
        case nil: noRetained ? .doNotSend : .sendOnSubscribe
        case "always": .sendOnSubscribe
        case "new": .sendIfNew
        case "never": .doNotSend
        case let other?:
            throw CommandFailure.usage("Invalid retain handling '\(other)': it must be always, new or never.")
        }
    }
}

extension SubscriptionOptions: ReadableArguments {
    mutating func read(_ words: inout ArgumentReader) {
        retainAsPublished = words.flag("--retain-as-published")
        retainHandling = words.text("--retain-handling")
    }
}

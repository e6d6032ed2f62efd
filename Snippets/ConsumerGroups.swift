// SPDX-License-Identifier: Apache-2.0

// A consumer group: several clients share the messages of some filters, and their number changes while they run.

import Logging
import Mosquitto
import ServiceLifecycle

func store(_ message: MQTTMessage) async throws { print(message.topic, message.payloadString) }

func beginGroup(_ configuration: MQTTClientConfiguration) {
    // snippet.create
    let group = MQTTConsumerGroup(configuration, group: "ingest", filters: ["sensors/#"], members: 4) { member in
        for await message in member.messages { try await store(message) }
    }
    // snippet.end
    _ = group
}

func runGroup(_ configuration: MQTTClientConfiguration) async throws {
    // snippet.run
    try await withMQTTConsumerGroup(configuration, group: "ingest", filters: ["sensors/#"], members: 4) { member in
        for await message in member.messages { try await store(message) }
    }
    // snippet.end
}

func scaleGroup(_ configuration: MQTTClientConfiguration, wanted: AsyncStream<Int>) async throws {
    // snippet.scale
    try await withMQTTConsumerGroup(configuration, group: "ingest", filters: ["sensors/#"], members: 2) { member in
        for await message in member.messages { try await store(message) }
    } during: { group in
        for await count in wanted {
            try await group.scale(to: count)
            print(group.members.map { "\($0.clientID): \($0.received)" })
        }
    }
    // snippet.end
}

func serve(_ configuration: MQTTClientConfiguration, ordinal: Int, logger: Logger) async throws {
    // snippet.service
    var options = MQTTConsumerGroupOptions()
    options.firstMember = 4 * ordinal  // the pod "ingest-2" has the members 8 to 11
    let consumers = MQTTConsumerGroup(
        configuration, group: "ingest", filters: ["sensors/#"], members: 4, options: options, logger: logger
    ) { member in
        for await message in member.messages { try await store(message) }
    }
    try await ServiceGroup(services: [consumers], gracefulShutdownSignals: [.sigterm], logger: logger).run()
    // snippet.end
}

// SPDX-License-Identifier: Apache-2.0

import Mosquitto

/// Publishes to one topic, and warns of messages that the broker refuses.
struct Publisher {
    let client: MQTTClient
    let topic: MQTTTopic
    let qos: MQTTQoS
    let retain: Bool
    let properties: MQTTPublishProperties
    let warns: Bool
    private var count = 0

    init(
        client: MQTTClient, topic: MQTTTopic, qos: MQTTQoS, retain: Bool, properties: MQTTPublishProperties = .init(),
        warns: Bool
    ) {
        self.client = client
        self.topic = topic
        self.qos = qos
        self.retain = retain
        self.properties = properties
        self.warns = warns
    }

    /// Returns when the broker has answered.
    mutating func publish(_ payload: [UInt8]) async throws {
        count += 1
        try await publish(payload, number: count)
    }

    /// Publishes all lines of standard input, in order, with a bounded number in progress.
    mutating func publishLines() async throws {
        let lines = LineReader()
        let events = client.events()
        // Stops reading when the client has stopped, since it could not publish the next line.
        let watcher = Task {
            for await _ in events {}
            lines.stop()
        }
        defer { watcher.cancel() }
        let isRefusable = try await isRefusable()
        let window = PublishWindow(isRefusable ? 1_024 : 16)
        let failure = FirstValue<any Error>()
        while let line = await lines.next() {
            count += 1
            // `enqueue` is many times as fast. A later line is awaited, and reaches the broker after this one.
            if !isRefusable, line.isFollowed, try enqueue(line.bytes) { continue }
            await window.enter()
            if failure.value != nil {
                window.leave()
                break
            }
            // The task runs here until it waits for the broker, so the messages keep the order of the lines.
            let publisher = self
            Task.begunHere { [number = count] in
                do { try await publisher.publish(line.bytes, number: number) } catch { failure.set(error) }
                window.leave()
            }
        }
        await window.waitUntilEmpty()
        if let error = failure.value { throw error }
    }

    /// Returns true if the broker may refuse one message and accept the others, so that each must be awaited. No broker
    /// refuses a message of MQTT 3.1.1, nor one of QoS 0 within its limits.
    private func isRefusable() async throws -> Bool {
        if client.configuration.version != .v5_0 { return false }
        if properties != MQTTPublishProperties() { return true }
        if qos != .atMostOnce || retain { return true }
        return try await client.waitUntilConnected().properties.maximumPacketSize != nil
    }

    /// Returns `false` if there is no room.
    private func enqueue(_ payload: [UInt8]) throws -> Bool {
        do throws(MQTTError) {
            try client.enqueue(payload, to: topic, qos: qos, retain: retain)
            return true
        } catch {
            if error.code == .queueFull { return false }
            throw error
        }
    }

    private func publish(_ payload: [UInt8], number: Int) async throws {
        do throws(MQTTError) {
            try await client.publish(payload, to: topic, qos: qos, retain: retain, properties: properties)
        } catch {
            guard error.code == .operationRefused, let code = error.rawReasonCode else { throw error }
            // mosquitto_pub names the packet identifier, which is the count.
            guard warns else { return }
            standardError("Warning: Publish \(number) failed: \(CommandExit.reasonString(code)).")
            if let reason = error.reasonString { standardError(reason) }
        }
    }
}

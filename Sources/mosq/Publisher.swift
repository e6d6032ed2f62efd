import Mosquitto

/// Publishes to one topic, and warns of what the broker refuses.
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

    /// All lines of standard input, in order, with a bounded number of them on their way.
    mutating func publishLines() async throws {
        let lines = LineReader()
        let events = client.events()
        // Nobody waits for a line that a client which has stopped could not publish.
        let watcher = Task {
            for await _ in events {}
            lines.stop()
        }
        defer { watcher.cancel() }
        let window = PublishWindow(1_024)
        let failure = FirstValue<any Error>()
        while let line = await lines.next() {
            await window.enter()
            if failure.value != nil {
                window.leave()
                break
            }
            count += 1
            // It runs here until it waits for the broker, hence the messages are in the order of the lines.
            let publisher = self
            Task.immediate { [number = count] in
                do { try await publisher.publish(line, number: number) } catch { failure.set(error) }
                window.leave()
            }
        }
        await window.waitUntilEmpty()
        if let error = failure.value { throw error }
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

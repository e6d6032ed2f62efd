import Mosquitto
import MosquittoTesting
import Testing

/// A resumed session brings what it has kept before the broker answers a SUBSCRIBE.
@Suite("More than a buffer waits in the session", .timeLimit(.minutes(1)))
struct BacklogTests {
    /// Nothing is read while a buffer is full, the SUBACK included, for which the subscription would wait.
    @Test(arguments: MQTTVersion.allCases, [MQTTAcknowledgement.onReceipt, .afterHandling])
    func `and a subscription that waits for its SUBACK begins`(
        version: MQTTVersion, acknowledgement: MQTTAcknowledgement
    ) async throws {
        let broker = try await ScriptedBroker.start(tls: TestTLS.identity)
        var configuration = testConfiguration(port: broker.port, version: version)
        configuration.session = .persistent
        configuration.acknowledgement = acknowledgement
        configuration.clientID = "returning"
        try await withRunningClient(configuration) { client, _ in
            try await client.subscribe(to: "a", "b") { _ in await client.shutdown() }
        }
        for number in 0..<100 { broker.publish(topic: number % 2 == 0 ? "a" : "b", payload: "\(number)", qos: 1) }
        let client = MQTTClient(configuration, logger: quiet)
        let small = MQTTBufferPolicy(capacity: 16, whenFull: .pauseReading)
        func numbers(_ filter: MQTTSubscription) async throws -> [String] {
            try await client.subscribe(to: filter, buffer: small) { messages in
                #expect(messages.grantedReasonCodes == [.grantedQoS1])
                var numbers: [String] = []
                for await message in messages {
                    numbers.append(message.payloadString)
                    if numbers.count == 50 { break }
                }
                return numbers
            }
        }
        async let even = numbers("a")
        async let odd = numbers("b")
        try await client.start()
        #expect(try await even == stride(from: 0, to: 100, by: 2).map(String.init))
        #expect(try await odd == stride(from: 1, to: 100, by: 2).map(String.init))
        // It goes on as any other connection.
        try await client.publish("alive", to: "c")
        await client.shutdown()
        await broker.stop()
    }
}

/// What the consumer waits for is behind what it has not taken yet.
@Suite("A consumer whose buffer is full calls its own client", .timeLimit(.minutes(1)))
struct BridgeTests {
    private static let small = MQTTBufferPolicy(capacity: 4, whenFull: .pauseReading)

    /// Runs a consumer of 2,000 messages that come as fast as the broker can send them.
    private func bridge(
        _ qos: MQTTQoS, _ version: MQTTVersion = .v5_0, _ acknowledgement: MQTTAcknowledgement = .onReceipt,
        _ forward: (MQTTClient, MQTTMessage) async throws -> Void
    ) async throws {
        let broker = try await ScriptedBroker.start(tls: TestTLS.identity)
        var configuration = testConfiguration(port: broker.port, version: version)
        configuration.acknowledgement = acknowledgement
        try await withRunningClient(configuration) { client, _ in
            try await client.subscribe(to: MQTTSubscription("in", qos: qos), buffer: Self.small) { messages in
                for number in 0..<2_000 { broker.publish(topic: "in", payload: "\(number)", qos: qos.rawValue) }
                var next = 0
                for await message in messages {
                    #expect(message.payloadString == "\(next)")
                    try await forward(client, message)
                    next += 1
                    if next == 2_000 { break }
                }
            }
        }
        await broker.stop()
    }

    @Test(arguments: MQTTVersion.allCases, MQTTQoS.allCases)
    func `to publish each message`(version: MQTTVersion, qos: MQTTQoS) async throws {
        try await bridge(qos, version) { client, message in
            try await client.publish(message.payload, to: "out", qos: .atLeastOnce)
        }
    }

    @Test(arguments: MQTTVersion.allCases)
    func `to publish each message before it is acknowledged`(version: MQTTVersion) async throws {
        try await bridge(.atLeastOnce, version, .afterHandling) { client, message in
            try await client.publish(message.payload, to: "out", qos: .exactlyOnce)
        }
    }

    @Test func `to subscribe to another topic`() async throws {
        try await bridge(.atMostOnce) { client, message in
            if message.payloadString.hasSuffix("00") {
                try await client.subscribe(to: "more") { try await $0.unsubscribe() }
            }
        }
    }

    @Test func `to make a request`() async throws {
        let responder = Responder()
        try await bridge(.atLeastOnce) { client, message in
            guard message.payloadString.hasSuffix("00") else { return }
            try await responder.start(client)
            let response = try await client.request("?", to: "service", timeout: .seconds(20))
            #expect(response.payloadString == "!")
        }
        await responder.stop()
    }

    /// Answers in a client of its own.
    private actor Responder {
        private var task: Task<Void, any Error>?

        func start(_ other: MQTTClient) async throws {
            if task != nil { return }
            var configuration = other.configuration
            configuration.clientID = "responder"
            let isReady = AsyncStream<Void>.makeStream()
            task = Task {
                try await withMQTTClient(configuration, logger: quiet) { client in
                    try await client.subscribe(to: "service") { messages in
                        isReady.continuation.finish()
                        for await message in messages { try await client.respond(to: message, with: "!") }
                    }
                }
            }
            for await _ in isReady.stream {}
        }

        func stop() async {
            task?.cancel()
            _ = await task?.result
        }
    }
}

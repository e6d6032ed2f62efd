// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Testing

extension DataPath.UnderLoad {
    /// Tests of a call whose answer from the broker follows messages that the calling consumer has not taken yet.
    @Suite("A consumer whose buffer is full calls its own client", .timeLimit(.minutes(1)))
    struct BridgeTests {
        private static let small = MQTTBufferPolicy(capacity: 4, whenFull: .pauseReading)

        /// Runs a consumer of 500 messages that arrive as fast as the broker can send them.
        private func bridge(
            _ qos: MQTTQoS, _ version: MQTTVersion = .v5_0, _ acknowledgement: MQTTAcknowledgement = .onReceipt,
            _ forward: (MQTTClient, MQTTMessage) async throws -> Void
        ) async throws {
            let broker = try await ScriptedBroker.start(tls: TestTLS.identity)
            var configuration = testConfiguration(port: broker.port, version: version)
            configuration.acknowledgement = acknowledgement
            try await withRunningClient(configuration) { client, _ in
                try await client.subscribe(to: MQTTSubscription("in", qos: qos), buffer: Self.small) { messages in
                    for number in 0..<500 { broker.publish(topic: "in", payload: "\(number)", qos: qos.rawValue) }
                    var next = 0
                    for await message in messages {
                        #expect(message.payloadString == "\(next)")
                        try await forward(client, message)
                        next += 1
                        if next == 500 { break }
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
}

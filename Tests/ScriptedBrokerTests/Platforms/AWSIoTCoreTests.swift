// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Testing
import Turns

/// An emulation from documents: nothing here was compared with AWS.
@Suite("AWS IoT Core, emulated", .turn(.scripted), .timeLimit(.minutes(1)))
struct AWSIoTCoreTests {
    private func profile(_ broker: ScriptedBroker, port: Int = 8883) throws -> MQTTClientConfiguration {
        let identity = try TestTLS.authority.clientIdentity(commonName: "kitchen")
        return broker.here(
            .awsIoTCore(
                endpoint: "id-ats.iot.eu-central-1.amazonaws.com", clientID: "kitchen",
                authentication: .certificate(
                    .pem(certificate: identity.certificatePEM, key: MQTTSecret(identity.privateKeyPEM)), port: port)))
    }

    private func broker(_ platform: ScriptedBroker.Platform = .awsIoTCore) async throws -> ScriptedBroker {
        try await .emulating(platform, clientAuthority: TestTLS.authority.certificatePEM)
    }

    /// A client with a certificate, and nothing else of the profile.
    private func stranger(_ broker: ScriptedBroker, version: MQTTVersion = .v5_0) throws -> MQTTClientConfiguration {
        var configuration = broker.stranger(version: version)
        configuration.tls?.identity = try profile(broker).tls?.identity
        return configuration
    }

    @Test(arguments: [8883, 443]) func `takes the profile`(port: Int) async throws {
        let broker = try await broker(port == 443 ? .awsIoTCoreOnPort443 : .awsIoTCore)
        try await broker.loop(try profile(broker, port: port), filter: "kitchen/#", topic: "kitchen/temperature")
        await broker.stop()
    }

    @Test func `closes connections on port 443 without ALPN`() async throws {
        let broker = try await broker(.awsIoTCoreOnPort443)
        #expect(try await broker.reason(of: stranger(broker)) == "no x-amzn-mqtt-ca by ALPN on port 443")
        await broker.stop()
    }

    @Test func `takes the profile of a custom authorizer, and no other client`() async throws {
        let broker = try await ScriptedBroker.emulating(.awsIoTCore(authorizer: "mine"))
        let user = MQTTStaticCredentials(username: "kitchen", password: "secret")
        let profile = broker.here(
            .awsIoTCore(
                endpoint: "e", clientID: "kitchen",
                authentication: .customAuthorizer(name: "mine", credentials: user) { _ in
                    MQTTAWSAuthorizerToken(key: "token", value: "t", signature: "s")
                }))
        try await broker.loop(profile, filter: "a", topic: "a")
        #expect(broker.connects.first?.username?.hasSuffix("&token=t&x-amz-customauthorizer-signature=s") == true)
        #expect(try await broker.reason(of: broker.stranger(user)) == "no mqtt by ALPN on port 443")
        var stranger = broker.stranger(user)
        stranger.tls?.applicationProtocols = ["mqtt"]
        #expect(try await broker.reason(of: stranger) == "a user name without the authorizer")
        await broker.stop()
    }

    @Test func `ends what the profile refuses before it is sent`() async throws {
        let broker = try await broker()
        let large = [UInt8](repeating: 0, count: 131_073)
        // MQTT 3.1.1 has no Maximum QoS, with which the CONNACK of MQTT 5.0 warns a client.
        let stranger = try stranger(broker, version: .v3_1_1)
        #expect(
            try await broker.reason(of: stranger) { try await $0.publish("x", to: "a", qos: .exactlyOnce) }
                == "a message of QoS 2")
        #expect(
            try await broker.reason(of: stranger) { try await $0.publish(large, to: "a") }
                == "a payload of more than 128 KB")
        #expect(
            try await broker.reason(of: stranger) { try await $0.publish("x", to: "a/b/c/d/e/f/g/h/i") }
                == "a topic with more than 7 slashes")
        var many = stranger
        many.receiving.maximumFiltersPerSubscribe = 9
        #expect(
            try await broker.reason(of: many) { client in
                try await client.subscribe(to: (0..<9).map { MQTTSubscription("a/\($0)") }) { _ in }
            } == "more than 8 filters in a SUBSCRIBE")

        let seen = broker.platformRefusals
        try await withRunningClient(try profile(broker)) { client, _ in
            try await client.waitUntilConnected(timeout: .seconds(30))
            #expect(await code { try await client.publish("x", to: "a", qos: .exactlyOnce) } == .unsupported)
            #expect(await code { try await client.publish(large, to: "a") } == .payloadTooLarge)
            #expect(await code { try await client.publish("x", to: "a/b/c/d/e/f/g/h/i") } == .invalidTopic)
            #expect(await code { try await client.subscribe(to: "a/b/c/d/e/f/g/h/#") { _ in } } == .invalidTopicFilter)
            // More filters are split into several packets.
            try await client.subscribe(to: (0..<20).map { MQTTSubscription("b/\($0)") }) { _ in }
            #expect(
                await code {
                    try await client.subscribe(to: (0..<51).map { MQTTSubscription("c/\($0)") }) { _ in }
                } == .unsupported)
        }
        #expect(broker.platformRefusals == seen)
        await broker.stop()
    }

    @Test func `ends a burst of messages, which the profile spreads`() async throws {
        let broker = try await broker()
        let stranger = try stranger(broker)
        #expect(
            try await broker.reason(of: stranger) { client in
                for number in 0..<150 { try client.enqueue("\(number)", to: "a", qos: .atMostOnce) }
            } == "more than 100 messages a second")
        let (seen, published) = (broker.platformRefusals, broker.publishCount)
        let start = ContinuousClock.now
        try await withMQTTClient(try profile(broker), logger: quiet) { client in
            for number in 0..<150 { try client.enqueue("\(number)", to: "a") }
            try await client.publish("last", to: "a")
        }
        #expect(ContinuousClock.now - start > .seconds(1))
        #expect(broker.publishCount - published == 151)
        #expect(broker.platformRefusals == seen)
        await broker.stop()
    }
}

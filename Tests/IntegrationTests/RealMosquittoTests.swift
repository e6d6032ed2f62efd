// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Testing
import Turns

@Suite("Against a real mosquitto", .turn(.brokers), .timeLimit(.minutes(5)))
struct RealMosquittoTests {
    @Test(arguments: [MQTTVersion.v3_1, .v3_1_1, .v5_0], Wire.allCases)
    func `messages of every QoS and size come back`(version: MQTTVersion, wire: Wire) async throws {
        // mosquitto 2.1 takes 2,000,000 bytes by default.
        let broker = try await Broker.start(wire, extraConfiguration: "max_packet_size 3000000")
        let info = try await broker.whileAwake {
            try await expectMessagesComeBack(
                broker.configuration(version: version), sizes: Sizes.all + [Sizes.largest])
        }
        #expect(info.endpoint.webSocket?.isSecure == (wire.isWebSocket ? wire.isSecure : nil))
        #expect((info.tls != nil) == wire.isSecure)
        #expect(!broker.mosquitto.log.contains("protocol error"))
    }

    @Test(arguments: Wire.secure)
    func `the broker says what TLS and session it has`(wire: Wire) async throws {
        let broker = try await Broker.start(wire, extraConfiguration: "max_qos 1")
        var configuration = broker.configuration()
        configuration.session = .persistent
        let fixed = configuration
        for expected in [false, true] {
            try await withMQTTClient(fixed, logger: quiet) { client in
                let info = try await client.waitUntilConnected(timeout: .seconds(30))
                #expect(info.tls?.version == "TLSv1.3")
                #expect(info.sessionPresent == expected)
                #expect(info.properties.maximumQoS == .atLeastOnce)
            }
        }
    }

    @Test(arguments: Wire.allCases)
    func `no will is published after a DISCONNECT`(wire: Wire) async throws {
        let broker = try await Broker.start(wire)
        var testator = broker.configuration()
        testator.will = MQTTWill(topic: "will", payload: "gone")
        let configuration = testator
        try await withMQTTClient(broker.configuration(), logger: quiet) { observer in
            try await observer.subscribe(to: "will") { messages in
                try await withMQTTClient(configuration, logger: quiet) { client in
                    _ = try await client.waitUntilConnected(timeout: .seconds(30))
                }
                try await observer.publish("no will came", to: "will")
                let first = await messages.first { _ in true }
                #expect(first?.payloadString == "no will came")
            }
        }
    }

    /// mosquitto acknowledges a QoS 1 publish and drops it while it holds 20 QoS 2 publishes without their PUBREL. With
    /// MQTT 3.1.1 its PUBACK cannot report that.
    @Test(arguments: [MQTTVersion.v3_1_1, .v5_0], Wire.secure)
    func `a burst of QoS 1 among QoS 2 arrives whole`(version: MQTTVersion, wire: Wire) async throws {
        let broker = try await Broker.start(wire)
        let received = Tally()
        try await withMQTTClient(broker.configuration(), logger: quiet) { observer in
            try await observer.subscribe(to: MQTTSubscription("burst", qos: .exactlyOnce)) { messages in
                try await withMQTTClient(broker.configuration(version: version), logger: quiet) { client in
                    for number in 0..<400 {
                        let qos: MQTTQoS = number.isMultiple(of: 2) ? .exactlyOnce : .atLeastOnce
                        try client.enqueue("\(number)", to: "burst", qos: qos)
                    }
                    try await client.publish("last", to: "burst", qos: .exactlyOnce)
                }
                for await message in messages {
                    guard let number = Int(message.payloadString) else { break }
                    received.add(number)
                }
            }
        }
        #expect(received.missing(of: 0..<400) == [])
    }

    @Test(arguments: Wire.allCases)
    func `a burst of small messages arrives whole`(wire: Wire) async throws {
        let broker = try await Broker.start(wire)
        let received = Tally()
        try await withMQTTClient(broker.configuration(), logger: quiet) { client in
            try await client.subscribe(to: MQTTSubscription("burst", qos: .atLeastOnce)) { messages in
                for number in 0..<3_000 { try client.enqueue("\(number)", to: "burst", qos: .atLeastOnce) }
                for await message in messages {
                    received.add(try #require(Int(message.payloadString)))
                    if received.distinct == 3_000 { break }
                }
            }
        }
        #expect(received.missing(of: 0..<3_000).isEmpty)
    }
}

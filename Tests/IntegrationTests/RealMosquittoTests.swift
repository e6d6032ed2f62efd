// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Testing
import Turns

@Suite("Against a real mosquitto over TLS", .turn(.brokers))
struct RealMosquittoTests {
    @Test(arguments: [MQTTVersion.v3_1, .v3_1_1, .v5_0], [MQTTQoS.atMostOnce, .atLeastOnce, .exactlyOnce])
    func `messages of every QoS and size come back`(version: MQTTVersion, qos: MQTTQoS) async throws {
        let broker = try await Broker.start()
        try await withMQTTClient(broker.configuration(version: version), logger: quiet) { client in
            try await client.subscribe(to: MQTTSubscription("size/#", qos: qos)) { messages in
                let sizes = [0, 1, 127, 128, 16_383, 16_384, 70_000, 2_097_152]
                for size in sizes {
                    try await client.publish(
                        [UInt8](repeating: UInt8(size & 0xFF), count: size), to: "size/\(size)", qos: qos)
                }
                var seen: [Int] = []
                for await message in messages {
                    #expect(message.topic == "size/\(message.payload.count)")
                    seen.append(message.payload.count)
                    if seen.count == sizes.count { break }
                }
                #expect(seen == sizes)
            }
        }
    }

    @Test func `the broker says what TLS and session it has`() async throws {
        let broker = try await Broker.start(extraConfiguration: "max_qos 1")
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

    @Test func `no will is published after a DISCONNECT`() async throws {
        let broker = try await Broker.start()
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
    @Test(arguments: [MQTTVersion.v3_1_1, .v5_0])
    func `a burst of QoS 1 among QoS 2 arrives whole`(version: MQTTVersion) async throws {
        let broker = try await Broker.start()
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
}

// SPDX-License-Identifier: Apache-2.0

import Testing
import Turns

@testable import Mosquitto

@Suite(.turn(.units)) struct `Packets of our own` {
    private func publish(
        _ topic: String, _ payload: [UInt8], _ qos: MQTTQoS = .atMostOnce, retain: Bool = false,
        _ properties: MQTTPublishProperties = .init()
    ) -> OutgoingPublish {
        OutgoingPublish(topic: topic, payload: payload, qos: qos, retain: retain, properties: properties)
    }

    private func encoded(
        _ publish: OutgoingPublish, _ version: MQTTVersion, _ header: PublishEncoder.Header = .init()
    ) -> [UInt8] {
        var encoder = PublishEncoder(version)
        _ = encoder.append(publish, header, limit: nil)
        return encoder.bytes
    }

    @Test func `a PUBLISH of QoS 0`() {
        #expect(encoded(publish("a/b", [7, 8]), .v3_1_1) == [0x30, 7, 0, 3, 0x61, 0x2F, 0x62, 7, 8])
        #expect(encoded(publish("a/b", [7, 8]), .v5_0) == [0x30, 8, 0, 3, 0x61, 0x2F, 0x62, 0, 7, 8])
        #expect(encoded(publish("a", []), .v3_1_1) == [0x30, 3, 0, 1, 0x61])
    }

    @Test func `flags and packet identifier`() {
        let header = PublishEncoder.Header(packetID: 0x1234)
        #expect(encoded(publish("a", [9], .atLeastOnce), .v3_1_1, header) == [0x32, 6, 0, 1, 0x61, 0x12, 0x34, 9])
        #expect(
            encoded(publish("a", [9], .exactlyOnce, retain: true), .v3_1_1, header)
                == [0x35, 6, 0, 1, 0x61, 0x12, 0x34, 9])
        let again = PublishEncoder.Header(packetID: 0x1234, isDuplicate: true)
        #expect(encoded(publish("a", [9], .atLeastOnce), .v3_1_1, again) == [0x3A, 6, 0, 1, 0x61, 0x12, 0x34, 9])
    }

    @Test func `all properties, in libmosquitto's order`() {
        let properties = MQTTPublishProperties(
            payloadIsUTF8: true, messageExpiryInterval: 9, contentType: "t", responseTopic: "r",
            correlationData: [1, 2],
            userProperties: [MQTTUserProperty("k", "v"), MQTTUserProperty("k", "")])
        let expected: [UInt8] =
            [0x01, 1] + [0x02, 0, 0, 1, 2] + [0x03, 0, 1, 0x74] + [0x08, 0, 1, 0x72] + [0x09, 0, 2, 1, 2]
            + [0x26, 0, 1, 0x6B, 0, 1, 0x76] + [0x26, 0, 1, 0x6B, 0, 0] + [0x23, 0, 5]
        let header = PublishEncoder.Header(expiry: 258, alias: (5, false))
        let packet = encoded(publish("a", [9], properties: properties), .v5_0, header)
        #expect(packet == [0x30, UInt8(5 + expected.count), 0, 1, 0x61, UInt8(expected.count)] + expected + [9])
    }

    private func publish(_ topic: String, _ payload: [UInt8], properties: MQTTPublishProperties) -> OutgoingPublish {
        publish(topic, payload, .atMostOnce, retain: false, properties)
    }

    @Test func `a topic that the broker knows goes by its alias`() {
        let header = PublishEncoder.Header(alias: (5, true))
        #expect(encoded(publish("a", [9]), .v5_0, header) == [0x30, 7, 0, 0, 3, 0x23, 0, 5, 9])
    }

    @Test(arguments: [(100, [106]), (200, [206, 1]), (20_000, [0xA6, 0x9C, 1]), (3_000_000, [0xC6, 0x8D, 0xB7, 1])])
    func `the remaining length has as many bytes as it needs`(size: Int, length: [UInt8]) {
        let packet = encoded(publish("abcd", [UInt8](repeating: 1, count: size)), .v3_1_1)
        #expect(packet.count == 1 + length.count + 6 + size)
        #expect(Array(packet[1...length.count]) == length)
    }

    @Test func `what is larger than the broker takes is not added`() {
        var encoder = PublishEncoder(.v5_0)
        let message = publish("a", [1, 2, 3])
        let (fits, exceeds) = (
            encoder.append(message, .init(), limit: 9), !encoder.append(message, .init(), limit: 8)
        )
        #expect(fits && exceeds)
        #expect(encoder.bytes.count == 9)
        encoder.removeAll()
        #expect(encoder.bytes.isEmpty)
    }

    @Test func `a PUBREL`() {
        var encoder = PublishEncoder(.v5_0)
        encoder.appendRelease(0x1234)
        #expect(encoder.bytes == [0x62, 2, 0x12, 0x34])
    }

    @Test func `a SUBSCRIBE`() {
        var subscription = MQTTSubscription("a/#", qos: .atLeastOnce)
        let plain = SubscriptionTable.Group(subscriptions: [subscription, MQTTSubscription("b", qos: .atLeastOnce)])
        #expect(
            PacketEncoder.subscribe(plain.subscriptions, identifier: plain.identifier, 0x0102, .v3_1_1)
                == [0x82, 12, 1, 2, 0, 3, 0x61, 0x2F, 0x23, 1, 0, 1, 0x62, 1])
        subscription.noLocal = true
        subscription.userProperties = [MQTTUserProperty("k", "v")]
        let full = SubscriptionTable.Group(subscriptions: [subscription], identifier: 200)
        #expect(
            PacketEncoder.subscribe(full.subscriptions, identifier: full.identifier, 7, .v5_0)
                == [0x82, 19, 0, 7, 10, 0x0B, 0xC8, 1, 0x26, 0, 1, 0x6B, 0, 1, 0x76, 0, 3, 0x61, 0x2F, 0x23, 5])
    }

    @Test func `an UNSUBSCRIBE`() {
        #expect(
            PacketEncoder.unsubscribe(["a", "b"], 7, .v3_1_1) == [0xA2, 8, 0, 7, 0, 1, 0x61, 0, 1, 0x62])
        #expect(PacketEncoder.unsubscribe(["a"], 7, .v5_0) == [0xA2, 6, 0, 7, 0, 0, 1, 0x61])
    }

    @Test func `a DISCONNECT`() {
        #expect(PacketEncoder.disconnect(MQTTDisconnect(), .v3_1_1) == [0xE0, 0])
        #expect(PacketEncoder.disconnect(MQTTDisconnect(), .v5_0) == [0xE0, 0])
        let code = MQTTDisconnect(reasonCode: .disconnectWithWillMessage)
        #expect(PacketEncoder.disconnect(code, .v5_0) == [0xE0, 1, 4])
        let full = MQTTDisconnect(
            sessionExpiry: .seconds(258), reasonString: "r", userProperties: [MQTTUserProperty("k", "v")])
        #expect(
            PacketEncoder.disconnect(full, .v5_0)
                == [0xE0, 18, 0, 16, 0x11, 0, 0, 1, 2, 0x1F, 0, 1, 0x72, 0x26, 0, 1, 0x6B, 0, 1, 0x76])
    }

    @Test func `an AUTH`() {
        #expect(
            PacketEncoder.auth(0x19, method: "m", data: [1])
                == [0xF0, 10, 0x19, 8, 0x15, 0, 1, 0x6D, 0x16, 0, 1, 1])
    }
}

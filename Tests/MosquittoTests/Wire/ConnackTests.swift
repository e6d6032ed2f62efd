// SPDX-License-Identifier: Apache-2.0

import Testing
import Turns

@testable import Mosquitto

@Suite(.turn(.units)) struct `The decoding of a CONNACK` {
    private func decode(
        _ bytes: [UInt8], version: MQTTVersion = .v5_0, cleanStart: Bool = true, isCut: Bool = false
    ) -> (connack: Connack?, packets: Int, error: MQTTError?) {
        var decoder = PacketDecoder(version: version, maximumPacketSize: 1_000, cleanStart: cleanStart)
        var failure: MQTTError?
        do throws(MQTTError) {
            for chunk in isCut ? bytes.map({ [$0] }) : [bytes] { try decoder.decode(chunk) }
        } catch {
            failure = error
        }
        let packets = decoder.takePackets()
        guard case .connack(let connack)? = packets.first else { return (nil, packets.count, failure) }
        return (connack, packets.count, failure)
    }

    @Test(
        arguments: [
            ([0x21, 0, 0], "Receive Maximum 0"), ([0x27, 0, 0, 0, 0], "Maximum Packet Size 0"),
            ([0x24, 2], "Maximum QoS 2"),
            ([0x25, 2], "Retain Available 2"), ([0x28, 255], "Wildcard Subscription Available 255"),
            ([0x29, 2], "Subscription Identifier Available 2"), ([0x2A, 3], "Shared Subscription Available 3"),
        ] as [([UInt8], String)])
    func `names the property that has a forbidden value (core 21)`(properties: [UInt8], name: String) {
        let (connack, _, error) = decode(Sample.connack(.v5_0, properties))
        #expect(connack == nil, "libmosquitto never sees it")
        #expect(error?.code == .protocolViolation)
        #expect(error?.message == "the broker sent CONNACK with \(name)")
    }

    @Test func `takes the least and the largest values (core 21)`() {
        let properties: [UInt8] =
            [0x21, 0, 1, 0x27, 0, 0, 0, 1, 0x24, 0, 0x25, 0, 0x28, 0, 0x29, 0, 0x2A, 0, 0x22, 0, 0, 0x13, 0, 0]
            + [0x11, 255, 255, 255, 255]
        #expect(decode(Sample.connack(.v5_0, properties)).error == nil)
    }

    @Test(
        arguments: [
            ([0x01, 2], "Payload Format Indicator 2"), ([0x0B, 0], "Subscription Identifier 0"),
            ([0x0B, 0x80, 0], "Subscription Identifier 0"),
            ([0x23, 0, 0], "a Topic Alias, which this client does not take"),
            ([0x23, 0, 9], "a Topic Alias, which this client does not take"),
        ] as [([UInt8], String)])
    func `so does that of a PUBLISH (core 21)`(properties: [UInt8], name: String) {
        let (_, _, error) = decode(Sample.connack(.v5_0) + Sample.publish(.v5_0, properties))
        #expect(error?.code == .protocolViolation)
        #expect(error?.message == "the broker sent PUBLISH with \(name)")
    }

    @Test(arguments: MQTTVersion.allCases)
    func `refuses a session after a clean start, and flags that are none (core 22)`(version: MQTTVersion) {
        let rest: [UInt8] = version == .v5_0 ? [0] : []
        let present = Sample.packet(0x20, [1, 0] + rest)
        #expect(decode(present, version: version, cleanStart: false).error == nil)
        let (_, _, error) = decode(present, version: version, cleanStart: true)
        #expect(error?.code == .protocolViolation)
        #expect(error?.message.contains("a session present after a clean start") == true)
        for flags in [2, 3, 0x80] as [UInt8] {
            let (_, _, error) = decode(Sample.packet(0x20, [flags, 0] + rest), version: version, cleanStart: false)
            #expect(error?.message.contains("the acknowledge flags \(flags)") == true)
        }
        // A refusal remains a refusal whatever its flags are: its code decides.
        #expect(decode(Sample.packet(0x20, [1, 3] + rest), version: version).error == nil)
    }

    @Test(arguments: [true, false])
    func `keeps an identifier that nobody asked for from libmosquitto, and nothing else (core 30)`(isCut: Bool) {
        let identifier = [0x12] + Sample.string("assigned")
        let others: [UInt8] = [0x21, 0, 10] + Sample.userProperty + [0x13, 0, 30] + Sample.userProperty
        let (connack, packets, error) = decode(
            Sample.connack(
                .v5_0, [0x21, 0, 10] + Sample.userProperty + identifier + [0x13, 0, 30] + Sample.userProperty)
                + Sample.packet(0x90, [0, 7, 0, 0]), isCut: isCut)
        #expect(error == nil)
        #expect(connack?.ignoredIdentifier == "assigned")
        #expect(connack?.packet == Sample.connack(.v5_0, others))
        #expect(packets == 2)
    }

    @Test func `gives a CONNACK without one as it is (core 30)`() {
        let bytes = Sample.packet(0x20, [1, 0] + Sample.properties([0x21, 0, 10]))
        let (connack, _, _) = decode(bytes, cleanStart: false)
        #expect(connack?.packet == bytes)
        #expect(connack?.ignoredIdentifier == nil)
    }

    @Test func `reads every property`() {
        var expected = MQTTConnackProperties()
        expected.sessionExpiryInterval = 60
        expected.receiveMaximum = 10
        expected.maximumQoS = .atLeastOnce
        expected.maximumPacketSize = 4_096
        expected.topicAliasMaximum = 5
        expected.reasonString = "reason"
        expected.userProperties = [Sample.user]
        expected.serverKeepAlive = 30
        expected.responseInformation = "response"
        expected.serverReference = "server"
        #expect(decode(Sample.connack(.v5_0, Sample.connackProperties)).connack?.properties == expected)
        let none = Sample.connack(.v5_0, [0x25, 0, 0x28, 0, 0x29, 0, 0x2A, 0])
        let properties = decode(none).connack?.properties
        #expect(properties?.retainAvailable == false && properties?.wildcardSubscriptionAvailable == false)
        #expect(properties?.subscriptionIdentifiersAvailable == false)
        #expect(properties?.sharedSubscriptionAvailable == false)
    }

    @Test(arguments: MQTTVersion.allCases)
    func `and its flags for libmosquitto are those that came`(version: MQTTVersion) {
        let rest: [UInt8] = version == .v5_0 ? [0] : []
        for flags in [0, 1] as [UInt8] {
            let bytes = Sample.packet(0x20, [flags, 0] + rest)
            #expect(decode(bytes, version: version, cleanStart: false).connack?.packet == bytes)
        }
    }
}

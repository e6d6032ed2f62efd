import Testing

@testable import Mosquitto

@Suite struct `The inspection of a CONNACK` {
    private func inspect(
        _ bytes: [UInt8], version: MQTTVersion = .v5_0, cleanStart: Bool = true, isCut: Bool = false
    ) -> (packets: [[UInt8]], error: MQTTError?, ignored: String?) {
        var inspector = InboundInspector(version: version, maximumPacketSize: 1_000, cleanStart: cleanStart)
        var packets: [[UInt8]] = []
        do throws(MQTTError) {
            for chunk in isCut ? bytes.map({ [$0] }) : [bytes] {
                packets += try chunk.withUnsafeBytes { buffer in
                    Result { () throws(MQTTError) in try inspector.inspectAll(buffer) }
                }.get()
            }
            return (packets, nil, inspector.ignoredIdentifier)
        } catch {
            return (packets, error, nil)
        }
    }

    @Test(
        arguments: [
            ([0x21, 0, 0], "Receive Maximum 0"), ([0x27, 0, 0, 0, 0], "Maximum Packet Size 0"),
            ([0x24, 2], "Maximum QoS 2"),
            ([0x25, 2], "Retain Available 2"), ([0x28, 255], "Wildcard Subscription Available 255"),
            ([0x29, 2], "Subscription Identifier Available 2"), ([0x2A, 3], "Shared Subscription Available 3"),
        ] as [([UInt8], String)])
    func `names the property that has a forbidden value (core 21)`(properties: [UInt8], name: String) {
        let (packets, error, _) = inspect(Sample.connack(.v5_0, properties))
        #expect(packets == [], "libmosquitto never sees it")
        #expect(error?.code == .protocolViolation)
        #expect(error?.message == "the broker sent CONNACK with \(name)")
    }

    @Test func `takes the least and the largest values (core 21)`() {
        let properties: [UInt8] =
            [0x21, 0, 1, 0x27, 0, 0, 0, 1, 0x24, 0, 0x25, 0, 0x28, 0, 0x29, 0, 0x2A, 0, 0x22, 0, 0, 0x13, 0, 0]
            + [0x11, 255, 255, 255, 255]
        #expect(inspect(Sample.connack(.v5_0, properties)).error == nil)
    }

    @Test(
        arguments: [
            ([0x01, 2], "Payload Format Indicator 2"), ([0x0B, 0], "Subscription Identifier 0"),
            ([0x0B, 0x80, 0], "Subscription Identifier 0"),
            ([0x23, 0, 0], "a Topic Alias, which this client does not take"),
            ([0x23, 0, 9], "a Topic Alias, which this client does not take"),
        ] as [([UInt8], String)])
    func `so does that of a PUBLISH (core 21)`(properties: [UInt8], name: String) {
        let (_, error, _) = inspect(Sample.connack(.v5_0) + Sample.publish(.v5_0, properties))
        #expect(error?.code == .protocolViolation)
        #expect(error?.message == "the broker sent PUBLISH with \(name)")
    }

    @Test(arguments: MQTTVersion.allCases)
    func `refuses a session after a clean start, and flags that are none (core 22)`(version: MQTTVersion) {
        let rest: [UInt8] = version == .v5_0 ? [0] : []
        let present = Sample.packet(0x20, [1, 0] + rest)
        #expect(inspect(present, version: version, cleanStart: false).error == nil)
        let (_, error, _) = inspect(present, version: version, cleanStart: true)
        #expect(error?.code == .protocolViolation)
        #expect(error?.message.contains("a session present after a clean start") == true)
        for flags in [2, 3, 0x80] as [UInt8] {
            let (_, error, _) = inspect(Sample.packet(0x20, [flags, 0] + rest), version: version, cleanStart: false)
            #expect(error?.message.contains("the acknowledge flags \(flags)") == true)
        }
        // A refusal is one whatever its flags are: its code says more.
        #expect(inspect(Sample.packet(0x20, [1, 3] + rest), version: version).error == nil)
    }

    @Test(arguments: [true, false])
    func `keeps an identifier that nobody asked for from libmosquitto, and nothing else (core 30)`(isCut: Bool) {
        let identifier = [0x12] + Sample.string("assigned")
        let others: [UInt8] = [0x21, 0, 10] + Sample.userProperty + [0x13, 0, 30] + Sample.userProperty
        let (packets, error, ignored) = inspect(
            Sample.connack(
                .v5_0, [0x21, 0, 10] + Sample.userProperty + identifier + [0x13, 0, 30] + Sample.userProperty)
                + Sample.packet(0x90, [0, 7, 0, 0]), isCut: isCut)
        #expect(error == nil)
        #expect(ignored == "assigned")
        #expect(packets == [Sample.connack(.v5_0, others), Sample.packet(0x90, [0, 7, 0, 0])])
    }

    @Test func `gives a CONNACK without one as it is (core 30)`() {
        let bytes = Sample.packet(0x20, [1, 0] + Sample.properties([0x21, 0, 10]))
        let (packets, _, ignored) = inspect(bytes, cleanStart: false)
        #expect(packets == [bytes])
        #expect(ignored == nil)
    }
}

// SPDX-License-Identifier: Apache-2.0

import Testing
import Turns

@testable import Mosquitto

@Suite(.turn(.units)) struct `The topic aliases of the broker` {
    private func decoder(_ maximum: UInt16 = 64) throws -> PacketDecoder {
        var decoder = PacketDecoder(
            version: .v5_0, maximumPacketSize: 1 << 20, topicAliasMaximum: maximum)
        try decoder.decode(Sample.connack(.v5_0))
        _ = decoder.takePackets()
        return decoder
    }

    private static func publish(_ topic: String, _ alias: Int?, before: [UInt8] = []) -> [UInt8] {
        let property: [UInt8] = alias.map { [0x23, UInt8($0 >> 8), UInt8($0 & 0xFF)] } ?? []
        return Sample.packet(0x30, Sample.string(topic) + Sample.properties(before + property) + [1])
    }

    private func messages(_ decoder: inout PacketDecoder) -> [MQTTMessage] {
        decoder.takePackets().compactMap { if case .publish(let message, _) = $0 { message } else { nil } }
    }

    @Test func `an alias names the topic that came with it, until another one does`() throws {
        var decoder = try decoder()
        for (topic, alias) in [("a/b", 1), ("", 1), ("c", 64), ("", 64), ("", 1), ("d", 1), ("", 1)] {
            try decoder.decode(Self.publish(topic, alias))
        }
        try decoder.decode(Self.publish("plain", nil))
        try decoder.decode(Self.publish("", 64))
        let messages = messages(&decoder)
        #expect(messages.map(\.topic) == ["a/b", "a/b", "c", "c", "a/b", "d", "d", "plain", "c"])
        #expect(messages.map(\.topicAlias) == [1, 1, 64, 64, 1, 1, 1, nil, 64])
        #expect(messages.allSatisfy { $0.payload == [1] && $0.properties.isEmpty })
        #expect(decoder.reasonCode == nil)
    }

    @Test(arguments: [
        (64, "x", 65, "the Topic Alias 65, above the client's maximum of 64"),
        (64, "x", 65_535, "the Topic Alias 65535, above the client's maximum of 64"),
        (64, "x", 0, "the Topic Alias 0"), (64, "", 0, "the Topic Alias 0"),
        (64, "", 2, "the Topic Alias 2, to which it has assigned no topic"),
        (64, "", 64, "the Topic Alias 64, to which it has assigned no topic"),
        (0, "x", 1, "a Topic Alias, which this client does not take"),
    ])
    func `an alias that breaks the rules has the reason code 0x94`(
        maximum: UInt16, topic: String, alias: Int, text: String
    ) throws {
        var decoder = try decoder(maximum)
        if maximum > 0 { try decoder.decode(Self.publish("first", 1)) }
        let error = #expect(throws: MQTTError.self) { try decoder.decode(Self.publish(topic, alias)) }
        #expect(error?.code == .protocolViolation)
        #expect(error?.message == "the broker sent PUBLISH with \(text)")
        #expect(decoder.reasonCode == .topicAliasInvalid)
        #expect(messages(&decoder).map(\.topic) == (maximum > 0 ? ["first"] : []))
    }

    @Test(arguments: ["", "a/+", "a/#", "\u{0}"])
    func `a bad topic is no alias, and has no reason code of its own`(topic: String) throws {
        var decoder = try decoder()
        if !topic.isEmpty {
            #expect(throws: MQTTError.self) { try decoder.decode(Self.publish(topic, 1)) }
        } else {
            #expect(throws: MQTTError.self) { try decoder.decode(Self.publish(topic, nil)) }
        }
        #expect(decoder.reasonCode == nil)
    }

    @Test func `another connection knows none`() throws {
        var first = try decoder()
        try first.decode(Self.publish("a", 1))
        var second = try decoder()
        #expect(throws: MQTTError.self) { try second.decode(Self.publish("", 1)) }
    }

    @Test func `a message with too many properties is discarded, and its alias is known all the same`() throws {
        var decoder = try decoder()
        let many = [[UInt8]](repeating: [0x26, 0, 0, 0, 0], count: PacketDecoder.maximumProperties).flatMap { $0 }
        try decoder.decode(Self.publish("a/b", 7, before: many))
        try decoder.decode(Self.publish("", 7, before: many))
        try decoder.decode(Self.publish("", 7))
        let messages = messages(&decoder)
        #expect(messages.map(\.topic) == ["a/b", "a/b", "a/b"])
        #expect(messages.map(\.isDiscarded) == [true, true, false])
    }

    @Test func `at most as many topics are kept as there are aliases, whatever the broker sends`() {
        var aliases = InboundTopicAliases(maximum: 64)
        for number in 0..<100_000 { aliases.assign("topic/\(number)", to: UInt16(number % 64) + 1) }
        for alias in UInt16(1)...64 { #expect(aliases.topic(of: alias) != nil) }
        #expect(aliases.count == 64)
        #expect(aliases.objection(to: 65) != nil)
        var sparse = InboundTopicAliases(maximum: .max)
        sparse.assign("a", to: .max)
        #expect(sparse.topic(of: .max) == "a" && sparse.topic(of: 1) == nil && sparse.topic(of: 65_534) == nil)
    }

    @Test func `messages are no larger for it`() {
        #expect(MemoryLayout<MQTTMessage>.stride == 40)
    }
}

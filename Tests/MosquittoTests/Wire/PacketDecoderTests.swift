// SPDX-License-Identifier: Apache-2.0

import Testing
import Turns

@testable import Mosquitto

extension PacketDecoder {
    /// Decodes bytes.
    mutating func decode(_ bytes: some Collection<UInt8>) throws(MQTTError) {
        try Array(bytes).withUnsafeBytes { buffer in
            Result { () throws(MQTTError) in try decode(buffer) }
        }.get()
    }

    mutating func takePackets() -> [ServerPacket] {
        var packets: [ServerPacket] = []
        take(&packets)
        return packets
    }
}

/// The result of decoding a sequence of chunks, without CONNACK and PINGRESP.
private struct Outcome: Equatable {
    var packets: [String] = []
    var hasEnded = false
    var code: MQTTError.Code?
    var message: String?

    init(_ version: MQTTVersion, _ chunks: [some Collection<UInt8>], maximumPacketSize: Int = 268_435_460) {
        var decoder = PacketDecoder(version: version, maximumPacketSize: maximumPacketSize)
        do throws(MQTTError) {
            for chunk in chunks { try decoder.decode(chunk) }
        } catch {
            (code, message) = (error.code, error.message)
        }
        packets = decoder.takePackets().compactMap {
            switch $0 {
            case .connack, .pingresp: nil
            default: String(describing: $0)
            }
        }
        hasEnded = decoder.hasEnded
    }
}

/// Returns an explanation that a broker adds to a reason code.
private func explanation(_ text: String, _ userProperties: [MQTTUserProperty] = []) -> ReasonExplanation {
    var explanation = ReasonExplanation()
    (explanation.reasonString, explanation.userProperties) = (text, userProperties)
    return explanation
}

/// PUBREC of the packet identifier 258, as a packet.
private func received(_ code: UInt8) -> String {
    "\(ServerPacket.pubrec(Acknowledgement(packetID: 258, reasonCode: code)))"
}

@Suite(.turn(.units)) struct `The decoder of inbound packets` {
    private func inspect(_ version: MQTTVersion, _ bytes: [UInt8]) -> Outcome {
        Outcome(version, [Sample.connack(version) + bytes])
    }

    @Test(arguments: MQTTVersion.allCases)
    func `lets every valid packet pass`(version: MQTTVersion) {
        for (name, bytes) in Sample.valid(version) {
            #expect(inspect(version, bytes).code == nil, "\(name)")
            #expect(inspect(version, bytes).hasEnded == name.hasPrefix("DISCONNECT"), "\(name)")
        }
        #expect(Outcome(.v5_0, [Sample.connack(.v5_0, Sample.connackProperties)]).code == nil)
    }

    @Test(arguments: MQTTVersion.allCases)
    func `refuses every invalid packet`(version: MQTTVersion) {
        for (name, bytes) in Sample.invalid(version) {
            let outcome = inspect(version, bytes)
            #expect(outcome.code == .protocolViolation, "\(name)")
            #expect(outcome.packets == [], "\(name)")
        }
    }

    @Test(arguments: MQTTVersion.allCases)
    func `refuses every packet but CONNACK, AUTH and DISCONNECT before CONNACK`(version: MQTTVersion) {
        for (name, bytes) in Sample.valid(version) where !name.hasPrefix("AUTH") && !name.hasPrefix("DISCONNECT") {
            let outcome = Outcome(version, [bytes])
            #expect(outcome.message?.contains("before CONNACK") == true, "\(name)")
        }
        #expect(Outcome(.v5_0, [Sample.packet(0xE0, [0x8B])]).code == nil)
    }

    @Test(arguments: MQTTVersion.allCases)
    func `sees the same however the bytes are cut`(version: MQTTVersion) {
        for (name, bytes) in Sample.valid(version) + Sample.invalid(version) {
            let stream = Sample.connack(version) + bytes + Sample.packet(0xD0, [])
            let whole = Outcome(version, [stream])
            #expect(Outcome(version, stream.map { [$0] }) == whole, "\(name), byte by byte")
            for first in 0...stream.count {
                #expect(Outcome(version, [stream[..<first], stream[first...]]) == whole, "\(name), cut at \(first)")
                guard stream.count < 60 else { continue }
                for second in first...stream.count {
                    let chunks = [stream[..<first], stream[first..<second], stream[second...]]
                    #expect(Outcome(version, chunks) == whole, "\(name), cut at \(first) and \(second)")
                }
            }
        }
    }

    @Test func `tells of PUBACK and PUBCOMP`() {
        let explained = Acknowledgement(packetID: 258, reasonCode: 0x10, explanation: explanation("why"))
        let body = [1, 2, 0x10] + Sample.properties([0x1F] + Sample.string("why"))
        #expect(
            inspect(.v5_0, Sample.packet(0x40, body)).packets == ["\(ServerPacket.puback(explained))"])
        #expect(inspect(.v5_0, Sample.packet(0x70, body)).packets == ["\(ServerPacket.pubcomp(explained))"])
        let plain = Acknowledgement(packetID: 258)
        #expect(
            inspect(.v3_1_1, Sample.packet(0x40, [1, 2])).packets == ["\(ServerPacket.puback(plain))"])
        #expect(inspect(.v3_1_1, Sample.packet(0x70, [1, 2])).packets == ["\(ServerPacket.pubcomp(plain))"])
    }

    @Test(arguments: [0x40, 0x50, 0x62, 0x70, 0x90, 0xB0] as [UInt8])
    func `refuses an acknowledgement of the packet identifier 0`(type: UInt8) {
        let outcome = inspect(.v3_1_1, Sample.packet(type, [0, 0] + (type == 0x90 ? [0] : [])))
        #expect(outcome.message?.contains("with the packet identifier 0") == true)
    }

    @Test func `tells of PUBREC, also if it refuses`() {
        #expect(inspect(.v5_0, Sample.packet(0x50, [1, 2])).packets == [received(0)])
        #expect(inspect(.v5_0, Sample.packet(0x50, [1, 2, 0x10])).packets == [received(0x10)])
        #expect(inspect(.v5_0, Sample.packet(0x50, [1, 2, 0x87])).packets == [received(0x87)])
        #expect(inspect(.v3_1_1, Sample.packet(0x50, [1, 2])).packets == [received(0)])
    }

    @Test func `tells what a PUBREC, a SUBACK and an UNSUBACK say`() {
        let properties = Sample.properties([0x1F] + Sample.string("why") + Sample.userProperty)
        let explained = explanation("why", [Sample.user])
        #expect(
            inspect(.v5_0, Sample.packet(0x50, [1, 2, 0x10] + properties)).packets
                == [
                    "\(ServerPacket.pubrec(Acknowledgement(packetID: 258, reasonCode: 0x10, explanation: explained)))"
                ])
        let codes: [UInt8] = [0, 0x11, 0x87]
        let answer = SubscriptionAcknowledgement(packetID: 258, reasonCodes: codes, explanation: explained)
        #expect(
            inspect(.v5_0, Sample.packet(0xB0, [1, 2] + properties + codes)).packets
                == ["\(ServerPacket.unsuback(answer))"])
        #expect(
            inspect(.v5_0, Sample.packet(0x90, [1, 2] + properties + codes)).packets
                == ["\(ServerPacket.suback(answer))"])
        #expect(
            inspect(.v3_1_1, Sample.packet(0xB0, [1, 2])).packets
                == ["\(ServerPacket.unsuback(SubscriptionAcknowledgement(packetID: 258)))"])
        #expect(
            inspect(.v3_1_1, Sample.packet(0x90, [1, 2, 1, 0x80])).packets
                == ["\(ServerPacket.suback(SubscriptionAcknowledgement(packetID: 258, reasonCodes: [1, 0x80])))"])
    }

    @Test func `gives a QoS 2 message, and its release, however it is cut`() throws {
        let all: [UInt8] =
            [0x01, 1, 0x02, 0, 0, 0, 9, 0x03] + Sample.string("text") + [0x08] + Sample.string("r")
            + [0x09, 0, 2, 5, 6, 0x0B, 0x80, 0x02] + Sample.userProperty
        let body = Sample.string("t/1") + [1, 2] + Sample.properties(all) + Array("payload".utf8)
        var properties = MQTTPublishProperties(
            payloadIsUTF8: true, messageExpiryInterval: 9, contentType: "text", responseTopic: "r",
            correlationData: [5, 6], userProperties: [Sample.user])
        properties.subscriptionIdentifiers = [256]
        var message = MQTTMessage(
            topic: "t/1", payload: Array("payload".utf8), qos: .exactlyOnce, retain: true, properties: properties)
        message.isRepetition = true
        let expected = [
            "\(ServerPacket.publish(message, packetID: 258))", "\(ServerPacket.pubrel(packetID: 258))",
        ]
        let stream = Sample.connack(.v5_0) + Sample.packet(0x3D, body) + Sample.packet(0x62, [1, 2])
        #expect(Outcome(.v5_0, [stream]).packets == expected)
        for cut in 0...stream.count {
            #expect(Outcome(.v5_0, [stream[..<cut], stream[cut...]]).packets == expected, "cut at \(cut)")
        }
        let plain = Sample.packet(0x34, Sample.string("t") + [0, 7, 0xFF])
        let old = MQTTMessage(topic: "t", payload: [0xFF], qos: .exactlyOnce)
        #expect(inspect(.v3_1_1, plain).packets == ["\(ServerPacket.publish(old, packetID: 7))"])
    }

    @Test(arguments: [UInt8(0x30), 0x34])
    func `gives a message of several subscriptions`(first: UInt8) {
        let identifier: [UInt8] = first == 0x30 ? [] : [0, 1]
        let body = Sample.string("t") + identifier + Sample.properties([0x0B, 1, 0x0B, 2])
        let outcome = inspect(.v5_0, Sample.packet(first, body))
        var properties = MQTTPublishProperties()
        properties.subscriptionIdentifiers = [1, 2]
        let message = MQTTMessage(
            topic: "t", payload: [], qos: first == 0x30 ? .atMostOnce : .exactlyOnce, properties: properties)
        #expect(outcome.packets == ["\(ServerPacket.publish(message, packetID: first == 0x30 ? 0 : 1))"])
    }

    @Test(arguments: [
        [0xC3, 0x28], [0x61, 0xFF], [0xED, 0xA0, 0x80], [0x61, 0x00], [0xC0, 0x80], [0xF4, 0x90, 0x80, 0x80],
    ])
    func `refuses text that is not UTF-8, or has a NUL, in a topic and in properties (core 7)`(
        text: [UInt8]
    ) {
        let string = [0, UInt8(text.count)] + text
        let topic = inspect(.v3_1_1, Sample.packet(0x30, string))
        #expect(topic.code == .protocolViolation)
        for property in [[0x03] + string, [0x08] + string, [0x26] + string + [0, 0], [0x26, 0, 0] + string] {
            let outcome = inspect(.v5_0, Sample.packet(0x30, Sample.string("t") + Sample.properties(property)))
            #expect(outcome.message?.contains("UTF-8") == true, "\(property)")
        }
        let reason = inspect(.v5_0, Sample.packet(0x40, [0, 1, 0x10] + Sample.properties([0x1F] + string)))
        #expect(reason.message?.contains("UTF-8") == true)
    }

    @Test(arguments: ["a\t", "\u{1B}[0m", "\u{7F}", "\u{85}", "\u{FFFF}", "\(Unicode.Scalar(0xFDD0)!)", "\u{1FFFE}"])
    func `takes control characters and non-characters in a topic and in properties (core 7)`(text: String) {
        let string = Sample.string(text)
        let all = [0x03] + string + [0x08] + string + [0x26] + string + string
        let outcome = inspect(.v5_0, Sample.packet(0x30, string + Sample.properties(all)))
        let properties = MQTTPublishProperties(
            contentType: text, responseTopic: text, userProperties: [MQTTUserProperty(text, text)])
        let message = MQTTMessage(topic: text, payload: [], qos: .atMostOnce, properties: properties)
        #expect(outcome.packets == ["\(ServerPacket.publish(message, packetID: 0))"])
        let reason = inspect(.v5_0, Sample.packet(0x40, [0, 1, 0x10] + Sample.properties([0x1F] + string)))
        #expect(reason.code == nil)
    }

    @Test func `takes the message that a review found to be refused (core 7)`() {
        let outcome = inspect(.v5_0, [0x30, 0x0C, 0, 1, 0x61, 8, 0x26, 0, 1, 0x6B, 0, 2, 0x61, 9])
        let message = MQTTMessage(
            topic: "a", payload: [], qos: .atMostOnce, properties: .init(userProperties: [.init("k", "a\t")]))
        #expect(outcome.packets == ["\(ServerPacket.publish(message, packetID: 0))"])
    }

    @Test(arguments: ["#", "a/+", "a#b"])
    func `refuses a wildcard in the topic of a message (core 7)`(topic: String) {
        for version in MQTTVersion.allCases {
            let properties: [UInt8] = version == .v5_0 ? [0] : []
            #expect(inspect(version, Sample.packet(0x30, Sample.string(topic) + properties)).code == .protocolViolation)
        }
    }

    @Test func `takes text of any language`() {
        let string = Sample.string("grüße/日本/🦟")
        let outcome = inspect(.v5_0, Sample.packet(0x30, string + Sample.properties([0x03] + string)))
        let message = MQTTMessage(
            topic: "grüße/日本/🦟", payload: [], qos: .atMostOnce, properties: .init(contentType: "grüße/日本/🦟"))
        #expect(outcome.packets == ["\(ServerPacket.publish(message, packetID: 0))"])
    }

    @Test(arguments: MQTTVersion.allCases)
    func `gives one packet for each, in order, however they are cut`(version: MQTTVersion) throws {
        let suback = Sample.packet(0x90, version == .v5_0 ? [0, 1, 0, 0] : [0, 1, 0])
        let message = Sample.packet(0x30, Sample.string("t") + (version == .v5_0 ? [0] : []))
        let stream = Sample.connack(version) + message + suback + message + Sample.packet(0xD0, [])
        for step in 1...stream.count {
            var decoder = PacketDecoder(version: version, maximumPacketSize: 1_000)
            for start in stride(from: 0, to: stream.count, by: step) {
                try decoder.decode(stream[start..<min(start + step, stream.count)])
            }
            let kinds = decoder.takePackets().map {
                switch $0 {
                case .connack: "CONNACK"
                case .publish: "PUBLISH"
                case .suback: "SUBACK"
                case .pingresp: "PINGRESP"
                default: "another"
                }
            }
            #expect(kinds == ["CONNACK", "PUBLISH", "SUBACK", "PUBLISH", "PINGRESP"])
        }
    }

    @Test func `refuses a packet identifier of 0`() {
        let outcome = inspect(.v3_1_1, Sample.packet(0x34, Sample.string("t") + [0, 0]))
        #expect(outcome.message?.contains("packet identifier 0") == true)
    }

    @Test func `tells of each thing once, in order`() throws {
        var decoder = PacketDecoder(version: .v5_0, maximumPacketSize: 1_000)
        try decoder.decode(Sample.connack(.v5_0) + Sample.packet(0x50, [0, 1]) + Sample.packet(0x50, [0, 2]))
        let identifiers = decoder.takePackets().map {
            if case .pubrec(let received) = $0 { received.packetID } else { UInt16.max }
        }
        #expect(identifiers == [UInt16.max, 1, 2])
        #expect(decoder.takePackets().isEmpty)
    }

    @Test(
        arguments: [
            ([], ServerDisconnect(reasonCode: 0)), ([0x8B], ServerDisconnect(reasonCode: 0x8B)),
            ([0x8B, 0], ServerDisconnect(reasonCode: 0x8B)),
            (
                [0x9D]
                    + Sample.properties(
                        [0x1F] + Sample.string("moved") + Sample.userProperty + [0x1C] + Sample.string("b:1")),
                ServerDisconnect(
                    reasonCode: 0x9D, explanation: explanation("moved", [Sample.user]), serverReference: "b:1")
            ),
            ([0x80, 4, 0x1F, 0, 1, 0xFF], ServerDisconnect(reasonCode: 0x80, explanation: explanation("\u{FFFD}"))),
        ] as [([UInt8], ServerDisconnect)])
    func `tells what a DISCONNECT says`(body: [UInt8], expected: ServerDisconnect) {
        let outcome = inspect(.v5_0, Sample.packet(0xE0, body))
        #expect(outcome.packets == ["\(ServerPacket.disconnect(expected))"])
        #expect(outcome.hasEnded)
    }

    @Test func `does not look at what follows a DISCONNECT or a refusal`() {
        let nonsense: [UInt8] = [0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]
        #expect(inspect(.v5_0, Sample.packet(0xE0, []) + nonsense).code == nil)
        #expect(Outcome(.v5_0, [Sample.connack(.v5_0, code: 0x87), nonsense]).code == nil)
        #expect(Outcome(.v3_1_1, [Sample.connack(.v3_1_1, code: 5) + nonsense]).code == nil)
        #expect(Outcome(.v3_1_1, [Sample.connack(.v3_1_1, code: 5)]).hasEnded)
    }

    @Test(arguments: [
        (UInt8(1), MQTTReasonCode.unsupportedProtocolVersion, MQTTError.Code.refused),
        (5, .notAuthorized, .notAuthorized),
    ])
    func `understands the refusal of a broker that knows MQTT 3.1.1 only`(
        code: UInt8, reasonCode: MQTTReasonCode, kind: MQTTError.Code
    ) throws {
        var decoder = PacketDecoder(version: .v5_0, maximumPacketSize: 1_000)
        try decoder.decode([0x20, 2, 0, code])
        guard case .connack(let connack)? = decoder.takePackets().first else {
            Issue.record("no CONNACK")
            return
        }
        let error = connack.refusal(connack.code, .v5_0)
        #expect(error.code == kind)
        #expect(error.reasonCode == reasonCode)
        #expect(error.rawReasonCode == code)
        #expect(error.phase == .connack)
    }

    @Test func `refuses an acceptance in the form of MQTT 3.1.1`() {
        #expect(Outcome(.v5_0, [[0x20, 2, 0, 0] as [UInt8]]).code == .protocolViolation)
    }

    @Test(
        arguments: [[0x20, 0], [0x20, 1, 0], [0x20, 3, 0, 0, 1], [0x20, 4, 0, 0, 1, 0x05], [0x21, 3, 0, 0, 0]]
            as [[UInt8]])
    func `refuses a malformed CONNACK`(bytes: [UInt8]) {
        #expect(Outcome(.v5_0, [bytes]).code == .protocolViolation)
    }

    @Test func `refuses a packet that is too large by its header alone`() {
        let connack = Sample.connack(.v5_0)
        let fits = Sample.publish(.v5_0, payload: [UInt8](repeating: 0, count: 92))
        #expect(fits.count == 100)
        #expect(Outcome(.v5_0, [connack + fits], maximumPacketSize: 100).code == nil)
        let outcome = Outcome(.v5_0, [connack, [0x30, 99]], maximumPacketSize: 100)
        #expect(
            outcome.message
                == "the broker sent PUBLISH of 101 bytes; at most 100 are accepted, see receiving.maximumPacketSize")
        #expect(
            Outcome(.v5_0, [connack, [0x90, 0xFF, 0xFF, 0xFF, 0x7F]], maximumPacketSize: 1_000).code
                == .protocolViolation)
        #expect(Outcome(.v5_0, [connack, [0x30, 0xFF, 0xFF, 0xFF, 0x7F]]).code == nil)
    }

    @Test func `refuses an unknown property before libmosquitto would abort`() {
        for identifier in UInt8.min ... .max {
            let outcome = inspect(.v5_0, Sample.publish(.v5_0, [identifier] + [UInt8](repeating: 0, count: 8)))
            if outcome.code == nil { continue }
            #expect(outcome.message?.hasPrefix("the broker sent") == true)
        }
        for identifier: UInt8 in [0x04, 0x0A, 0x0C, 0x10, 0x14, 0x1B, 0x1D, 0x20, 0x2B, 0x80, 0xFF] {
            #expect(
                inspect(.v5_0, Sample.publish(.v5_0, [identifier])).message
                    == "the broker sent PUBLISH with the property \(identifier), which it does not have")
        }
    }

    @Test func `an empty chunk changes nothing`() {
        let empty: [UInt8] = []
        #expect(Outcome(.v5_0, [empty, Sample.connack(.v5_0), empty]) == Outcome(.v5_0, [Sample.connack(.v5_0)]))
    }
}

@Suite(.turn(.units)) struct `The decoder, fed with anything` {
    @Test(arguments: UInt64(0)..<10)
    func `never traps, and sees the same however the bytes are cut`(seed: UInt64) async {
        var generator = JitterGenerator(seed: seed)
        for _ in 0..<5_000 {
            // For tests that wait for a thread of the pool.
            await Task.yield()
            let version: MQTTVersion = Bool.random(using: &generator) ? .v5_0 : .v3_1_1
            let stream = Self.stream(version, &generator)
            var cuts = (0..<Int.random(in: 0...6, using: &generator)).map { _ in
                Int.random(in: 0...stream.count, using: &generator)
            }
            cuts = [0] + cuts.sorted() + [stream.count]
            let chunks = zip(cuts, cuts.dropFirst()).map { stream[$0..<$1] }
            let whole = Outcome(version, [stream], maximumPacketSize: 100_000)
            let cut = Outcome(version, chunks, maximumPacketSize: 100_000)
            guard whole == cut else {
                Issue.record("seed \(seed): \(stream) cut at \(cuts): \(whole) is not \(cut)")
                return
            }
        }
    }

    /// Valid packets with a few bytes changed, removed or added, or nothing but noise.
    private static func stream(_ version: MQTTVersion, _ generator: inout JitterGenerator) -> [UInt8] {
        if Int.random(in: 0..<5, using: &generator) == 0 {
            return (0..<Int.random(in: 1...64, using: &generator)).map { _ in
                UInt8.random(in: .min ... .max, using: &generator)
            }
        }
        var bytes = Sample.connack(version, version == .v5_0 ? Sample.connackProperties : [])
        for _ in 0..<Int.random(in: 0...4, using: &generator) {
            bytes += Sample.valid(version).randomElement(using: &generator)!.bytes
        }
        for _ in 0..<Int.random(in: 0...4, using: &generator) where !bytes.isEmpty {
            let index = Int.random(in: 0..<bytes.count, using: &generator)
            switch Int.random(in: 0..<4, using: &generator) {
            case 0: bytes[index] = UInt8.random(in: .min ... .max, using: &generator)
            case 1: bytes[index] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
            case 2: bytes.remove(at: index)
            default: bytes.insert([0x00, 0x7F, 0x80, 0xFF].randomElement(using: &generator)!, at: index)
            }
        }
        return bytes
    }
}

extension Sample {
    fileprivate static func connack(_ version: MQTTVersion, _ bytes: [UInt8]) -> [UInt8] {
        connack(version, code: 0, bytes)
    }
}

// SPDX-License-Identifier: Apache-2.0

import Testing
import Turns

@testable import Mosquitto

/// The largest packets and the most properties that a broker may send.
@Suite(.turn(.units)) struct `The size of a packet` {
    private static let connack: [UInt8] = [0x20, 3, 0, 0, 0]

    private func decoder(expectsAuthentication: Bool = true, maximumReasonCodes: Int = 8) throws -> PacketDecoder {
        var decoder = PacketDecoder(
            version: .v5_0, maximumPacketSize: 268_435_460, maximumReasonCodes: maximumReasonCodes,
            expectsAuthentication: expectsAuthentication)
        try Self.connack.withUnsafeBytes { bytes in try decoder.decode(bytes) }
        var packets: [ServerPacket] = []
        decoder.take(&packets)
        return decoder
    }

    private func decode(_ bytes: [UInt8], _ decoder: inout PacketDecoder) -> MQTTError? {
        do throws(MQTTError) {
            try bytes.withUnsafeBytes { bytes in Result { () throws(MQTTError) in try decoder.decode(bytes) } }.get()
            return nil
        } catch {
            return error
        }
    }

    private func header(_ type: UInt8, _ length: Int) -> [UInt8] {
        var (bytes, rest) = ([type << 4 | (type == 6 ? 2 : 0)], length)
        repeat {
            bytes.append(UInt8(rest & 127) | (rest > 127 ? 128 : 0))
            rest >>= 7
        } while rest > 0
        return bytes
    }

    /// 256 MB of a CONNACK took 6 GiB, and the event loop stood still for 24 s.
    @Test(arguments: [2, 4, 5, 6, 7, 9, 11, 13, 14, 15] as [UInt8])
    func `other than PUBLISH is refused at its header`(type: UInt8) throws {
        for length in [268_435_455, 140_000] {
            var decoder =
                type == 2
                ? PacketDecoder(version: .v5_0, maximumPacketSize: 268_435_460, maximumReasonCodes: 8)
                : try decoder()
            let error = decode(header(type, length), &decoder)
            #expect(error?.code == .protocolViolation)
            let size = length + (length > 2_097_151 ? 5 : 4)
            #expect(error?.message.contains("\(PacketDecoder.name(of: type)) of \(size) bytes") == true)
        }
    }

    @Test func `has room for the reason codes of many filters, and for authentication data`() throws {
        var decoder = try decoder(maximumReasonCodes: 200_000)
        var suback = header(9, 3 + 150_000)
        suback += [0, 1, 0]
        suback += [UInt8](repeating: 0, count: 150_000)
        #expect(decode(suback, &decoder) == nil)
        var auth = header(15, 65_546)
        auth += [0x18, 0x86, 0x80, 4, 0x15, 0, 1, 0x6D, 0x16, 0xFF, 0xFF]
        auth += [UInt8](repeating: 0, count: 65_535)
        #expect(decode(auth, &decoder) == nil)
        var none = try self.decoder(expectsAuthentication: false, maximumReasonCodes: .max)
        #expect(decode(header(15, 70_000), &none) != nil)
    }

    @Test func `with a message is bounded by the configuration, whose property is named`() throws {
        var decoder = PacketDecoder(version: .v5_0, maximumPacketSize: 1_000)
        _ = decode(Self.connack, &decoder)
        #expect(decode(header(3, 2_000), &decoder)?.message.contains("receiving.maximumPacketSize") == true)
        #expect(MQTTReceivingLimits().maximumPacketSize == 16 << 20)
    }

    // MARK: Properties

    private static func publish(properties count: Int, qos: UInt8 = 0) -> [UInt8] {
        let properties = [UInt8]((0..<count).flatMap { _ in [0x26, 0, 0, 0, 0] as [UInt8] })
        func integer(_ value: Int) -> [UInt8] {
            var (bytes, rest) = ([UInt8](), value)
            repeat {
                bytes.append(UInt8(rest & 127) | (rest > 127 ? 128 : 0))
                rest >>= 7
            } while rest > 0
            return bytes
        }
        var body: [UInt8] = [0, 1, 0x74]
        if qos > 0 { body += [0, 7] }
        body += integer(properties.count)
        body += properties
        body.append(0x78)
        return [0x30 | qos << 1] + integer(body.count) + body
    }

    @Test func `of many properties has all of them, up to 10000`() throws {
        var decoder = try decoder()
        #expect(decode(Self.publish(properties: 10_000), &decoder) == nil)
        guard case .publish(let message, _)? = decoder.packets.last else { throw Missing() }
        #expect(message.properties.userProperties.count == 10_000 && !message.isDiscarded)
    }

    private struct Missing: Error {}

    /// Any publisher can send it: it must not end the connection, which a persistent session would bring back.
    @Test(arguments: [0, 1, 2] as [UInt8])
    func `of more properties is a message that is acknowledged and discarded`(qos: UInt8) throws {
        var decoder = try decoder()
        #expect(decode(Self.publish(properties: 10_001, qos: qos) + [0xD0, 0], &decoder) == nil)
        #expect(decoder.packets.count == 2)
        guard case .publish(let message, let packetID)? = decoder.packets.first else { throw Missing() }
        #expect(message.isDiscarded && message.payload.isEmpty && message.properties.isEmpty)
        #expect(message.topic == "t" && packetID == (qos > 0 ? 7 : 0))
    }

    /// Text of 16 MiB occupied the event loop for 120 ms.
    @Test func `of longer properties than 4 MiB is discarded too`() throws {
        func message(_ count: Int) throws -> MQTTMessage {
            // 65,540 bytes each.
            let text = [0x26, 0xFF, 0xFF] + [UInt8](repeating: 0x61, count: 65_535) + [0, 0]
            let properties = [UInt8]((0..<count).flatMap { _ in text })
            var decoder = try decoder()
            #expect(decode(Sample.packet(0x30, [0, 1, 0x74] + Sample.properties(properties)), &decoder) == nil)
            guard case .publish(let message, _)? = decoder.packets.last else { throw Missing() }
            return message
        }
        #expect(try message(63).properties.userProperties.count == 63)
        let discarded = try message(64)
        #expect(discarded.isDiscarded && discarded.properties.isEmpty)
    }

    @Test func `of more properties is a violation if it has no message`() throws {
        var decoder = try decoder()
        let count = 10_001
        let properties = [UInt8]((0..<count).flatMap { _ in [0x26, 0, 0, 0, 0] as [UInt8] })
        var body: [UInt8] = [0, 0xD5, 0x86, 3]
        body += properties
        #expect(5 * count == 0x55 | 0x06 << 7 | 3 << 14)
        let error = decode(header(14, body.count) + body, &decoder)
        #expect(error?.message.contains("more than 10000 properties") == true, "\(error?.message ?? "none")")
    }
}

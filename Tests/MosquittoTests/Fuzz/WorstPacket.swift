// SPDX-License-Identifier: Apache-2.0

@testable import Mosquitto

/// The packets that keep the event loop busy longest, of those that a configuration with otherwise default limits accepts.
enum WorstPacket: String, CaseIterable, Sendable {
    case largestPublish, manyProperties, longProperties, manyReasonCodes, connackOfProperties, connackOfText
    case disconnectOfText, authOfProperties

    /// The processor time of this thread for decoding the packet, and, if it is a CONNACK, for libmosquitto's verdict.
    func time() -> Duration {
        let bytes = packet
        var decoder = PacketDecoder(
            version: .v5_0, maximumPacketSize: MQTTReceivingLimits().maximumPacketSize,
            maximumReasonCodes: Self.reasonCodes)
        if !isConnack { Self.decode([0x20, 3, 0, 0, 0], &decoder) }
        let start = SystemClock.ofThread
        Self.decode(bytes, &decoder)
        if isConnack, case .connack(let connack)? = decoder.packets.last {
            let opening = Opening(
                configuration: MQTTClientConfiguration(host: "nobody", tls: nil), credentials: .anonymous,
                authentication: nil, loop: EventLoopCore())
            _ = opening.judge(connack)
        }
        let end = SystemClock.ofThread
        precondition(decoder.packets.count == (isConnack ? 1 : 2))
        return end - start
    }

    /// Far more than the default of `maximumFiltersPerSubscribe`.
    private static let reasonCodes = 65_536

    private var isConnack: Bool { self == .connackOfProperties || self == .connackOfText }

    private static func decode(_ bytes: [UInt8], _ decoder: inout PacketDecoder) {
        // In the pieces in which the loop reads.
        var rest = bytes[...]
        while !rest.isEmpty {
            let piece = rest.prefix(65_536)
            rest = rest.dropFirst(piece.count)
            let isDecoded = piece.withUnsafeBytes { bytes in
                do throws(MQTTError) { try decoder.decode(bytes) } catch { return false }
                return true
            }
            precondition(isDecoded)
        }
    }

    // MARK: The bytes

    private var packet: [UInt8] {
        // A letter that is not ASCII is the slowest to check.
        let letter = Array("ä".utf8)
        func text(_ letters: Int) -> [UInt8] { Self.string((0..<letters).flatMap { _ in letter }) }
        let empty: [UInt8] = [0x26, 0, 0, 0, 0]
        let many = (0..<PacketDecoder.maximumProperties).flatMap { _ in empty }
        switch self {
        case .largestPublish: return Self.publish([], [UInt8](repeating: 0x78, count: (16 << 20) - 16))
        case .manyProperties: return Self.publish(many, [])
        case .longProperties:
            let property = [0x26] + text(100) + text(106)
            return Self.publish((0..<10_000).flatMap { _ in property }, [])
        case .manyReasonCodes:
            return Self.packet(0x90, [0, 7, 0] + [UInt8](repeating: 0x80, count: Self.reasonCodes))
        case .connackOfProperties: return Self.packet(0x20, [0, 0] + Self.integer(many.count) + many)
        case .connackOfText:
            let reason = [0x1F] + text(32_000)
            return Self.packet(0x20, [0, 0] + Self.integer(reason.count) + reason)
        case .disconnectOfText:
            let reason = [0x1F] + text(32_000)
            return Self.packet(0xE0, [0x8B] + Self.integer(reason.count) + reason)
        case .authOfProperties: return Self.packet(0xF0, [0x18] + Self.integer(many.count) + many)
        }
    }

    private static func publish(_ properties: [UInt8], _ payload: [UInt8]) -> [UInt8] {
        packet(0x30, string(Array("t".utf8)) + integer(properties.count) + properties + payload)
    }

    private static func packet(_ first: UInt8, _ body: [UInt8]) -> [UInt8] { [first] + integer(body.count) + body }

    private static func string(_ bytes: [UInt8]) -> [UInt8] {
        [UInt8(bytes.count >> 8), UInt8(bytes.count & 0xFF)] + bytes
    }

    private static func integer(_ value: Int) -> [UInt8] {
        value < 128 ? [UInt8(value)] : [UInt8(value & 127) | 128] + integer(value >> 7)
    }
}

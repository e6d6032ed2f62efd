// SPDX-License-Identifier: Apache-2.0

import Mosquitto

/// Formats messages as `formatted_print` of mosquitto's `sub_client_output.c` (2.0.11) does.
struct MessageFormatter {
    private let format: MessageFormat
    private let isPretty: Bool
    /// True if text of the publisher is printed on a terminal.
    private let escapes: Bool
    /// Called with the reason if a message cannot be printed.
    private let warn: (String) -> Void

    init(
        _ format: MessageFormat, isPretty: Bool = false, escapes: Bool = false,
        warn: @escaping (String) -> Void = { _ in }
    ) {
        self.format = format
        self.isPretty = isPretty
        self.escapes = escapes
        self.warn = warn
        if format.needsTime { MessageTime.readTimeZone() }
    }

    func bytes(_ message: MQTTMessage) -> [UInt8] {
        bytes(message, time: format.needsTime ? .now() : MessageTime(seconds: 0, nanoseconds: 0))
    }

    func bytes(_ message: MQTTMessage, time: MessageTime) -> [UInt8] {
        var bytes: [UInt8] = []
        for segment in format.segments {
            switch segment {
            case .literal(let literal): bytes += literal
            case .field(let field, let layout):
                var shown: [UInt8] = []
                append(field, layout, message, time, to: &shown)
                if !escapes {
                    bytes += shown
                } else if field == .json || field == .jsonOfJSON {
                    bytes += JSONText.printable(String(decoding: shown, as: UTF8.self)).utf8
                } else {
                    bytes += TerminalText.escaping(shown)
                }
            case .time(let conversion): bytes += time.formatted(conversion)
            case .nanoseconds: bytes += time.fraction(digits: 9)
            }
        }
        return bytes
    }

    private func append(
        _ field: MessageFormat.Field, _ layout: MessageFormat.Layout, _ message: MQTTMessage, _ time: MessageTime,
        to bytes: inout [UInt8]
    ) {
        let properties = message.properties
        switch field {
        case .payload: layout.append(payload: message.payload, to: &bytes)
        case .lowercaseHex: layout.append(hexOf: message.payload, Hex.lowercase, to: &bytes)
        case .uppercaseHex: layout.append(hexOf: message.payload, Hex.uppercase, to: &bytes)
        case .payloadLength: layout.append(message.payload.count, to: &bytes)
        case .topic: layout.append(message.topic.utf8, to: &bytes)
        case .qos: bytes.append(UInt8(ascii: "0") + message.qos.rawValue)
        case .retain: bytes.append(UInt8(ascii: message.retain ? "1" : "0"))
        case .packetIdentifier: layout.append(Int(message.packetIdentifier ?? 0), to: &bytes)
        case .topicAlias: layout.append(message.topicAlias.map(Int.init), to: &bytes)
        case .payloadFormatIndicator: layout.append(properties.payloadIsUTF8.map { $0 ? 1 : 0 }, to: &bytes)
        case .messageExpiryInterval:
            // mosquitto's commands print the value as an int, and the largest value therefore as -1.
            layout.append(
                properties.messageExpiryInterval.map { Int(Int32(truncatingIfNeeded: $0)) }, to: &bytes)
        case .subscriptionIdentifier: layout.append(properties.subscriptionIdentifiers.first.map(Int.init), to: &bytes)
        case .contentType:
            if let type = properties.contentType {
                layout.append(type.utf8, to: &bytes)
            } else {
                layout.blank.append(nil, to: &bytes)
            }
        case .responseTopic: if let topic = properties.responseTopic { layout.append(topic.utf8, to: &bytes) }
        case .correlationData: bytes += properties.correlationData ?? []
        case .userProperties:
            bytes += properties.userProperties.map { "\($0.name):\($0.value)" }.joined(separator: " ").utf8
        case .isoTime: layout.append(time.formatted("%FT%T%z"), to: &bytes)
        case .unixTime: bytes += Array("\(time.seconds).".utf8) + time.fraction(digits: 9)
        case .json:
            bytes += MessageJSON.bytes(message, payload: .text, time: time, isPretty: isPretty) ?? []
        case .jsonOfJSON:
            guard let json = MessageJSON.bytes(message, payload: .json, time: time, isPretty: isPretty) else {
                return warn("Error: Message payload is not valid JSON on topic \(message.topic).")
            }
            bytes += json
        }
    }
}

/// The layout of a value as mosquitto's commands print it, which differs from their manual in places.
extension MessageFormat.Layout {
    /// The layout for text, which is never padded with zeros.
    fileprivate var blank: Self {
        var layout = self
        layout.padsWithZeros = false
        return layout
    }

    /// Appends a number; `nil` is padding of the same width.
    fileprivate func append(_ number: Int?, to bytes: inout [UInt8]) {
        guard let number else {
            bytes.append(contentsOf: repeatElement(pad, count: width))
            return
        }
        let digits = String(number).utf8
        let missing = max(0, width - digits.count)
        if isLeftAligned {
            bytes += digits
            Self.append(spaces: missing, to: &bytes)
        } else if padsWithZeros {
            // As in printf, the sign precedes the zeros.
            if number < 0 { bytes.append(UInt8(ascii: "-")) }
            bytes.append(contentsOf: repeatElement(UInt8(ascii: "0"), count: missing))
            bytes += digits.drop { $0 == UInt8(ascii: "-") }
        } else {
            Self.append(spaces: missing, to: &bytes)
            bytes += digits
        }
    }

    /// Text: a zero before the width has no effect, and the precision limits the number of bytes.
    fileprivate func append(_ text: some Collection<UInt8>, to bytes: inout [UInt8]) {
        let shown = text.prefix(precision ?? .max)
        let missing = max(0, width - shown.count)
        if !isLeftAligned { Self.append(spaces: missing, to: &bytes) }
        bytes += shown
        if isLeftAligned { Self.append(spaces: missing, to: &bytes) }
    }

    /// The width also limits the number of bytes, and the precision has no effect.
    fileprivate func append(payload: [UInt8], to bytes: inout [UInt8]) {
        let shown = width > 0 ? payload.prefix(width) : payload[...]
        pad(&bytes, width - shown.count) { $0 += shown }
    }

    /// Appends two digits for each byte. A width limits the bytes to half its value.
    fileprivate func append(hexOf payload: [UInt8], _ digits: [UInt8], to bytes: inout [UInt8]) {
        let shown = width > 0 ? payload.prefix(min(payload.count, width) / 2) : payload[...]
        pad(&bytes, width > 0 ? width - shown.count * 2 : -payload.count) { bytes in
            bytes.reserveCapacity(bytes.count + shown.count * 2)
            for byte in shown {
                bytes.append(digits[Int(byte / 16)])
                bytes.append(digits[Int(byte % 16)])
            }
        }
    }

    private var pad: UInt8 { UInt8(ascii: padsWithZeros ? "0" : " ") }

    private func pad(_ bytes: inout [UInt8], _ missing: Int, _ append: (inout [UInt8]) -> Void) {
        if !isLeftAligned { bytes.append(contentsOf: repeatElement(pad, count: max(0, missing))) }
        append(&bytes)
        // printf uses the absolute value of a negative width: without a width, as many spaces follow as the payload has
        // bytes.
        if isLeftAligned { Self.append(spaces: abs(missing), to: &bytes) }
    }

    private static func append(spaces count: Int, to bytes: inout [UInt8]) {
        bytes.append(contentsOf: repeatElement(UInt8(ascii: " "), count: count))
    }
}

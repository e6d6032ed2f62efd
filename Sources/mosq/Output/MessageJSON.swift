// SPDX-License-Identifier: Apache-2.0

import Mosquitto

/// A message as one JSON object: `%j` and `%J` of `-F`, as `json_print` of mosquitto's `sub_client_output.c` (2.0.11)
/// builds it.
struct MessageJSON {
    enum Payload {
        /// `%j`: text. What is not UTF-8 becomes U+FFFD, and a NUL ends it.
        case text
        /// `%J`: the payload as JSON, which it must be.
        case json
    }

    /// Returns `nil` if the payload must be JSON and is not.
    static func bytes(
        _ message: MQTTMessage, payload: Payload, time: MessageTime, isPretty: Bool
    ) -> [UInt8]? {
        var writer = JSONWriter(isPretty: isPretty)
        writer.beginObject()
        writer.member("tst")
        writer.string(timestamp(time))
        writer.member("topic")
        writer.string(message.topic.utf8)
        writer.member("qos")
        writer.number(Int(message.qos.rawValue))
        writer.member("retain")
        writer.number(message.retain ? 1 : 0)
        writer.member("payloadlen")
        writer.number(message.payload.count)
        if message.qos > .atMostOnce {
            writer.member("mid")
            writer.number(Int(message.packetIdentifier ?? 0))
        }
        if !message.properties.isEmpty || message.topicAlias != nil { write(message, to: &writer) }
        writer.member("payload")
        switch payload {
        case _ where message.payload.isEmpty: writer.literal("null".utf8)
        case .text: writer.string(message.payload)
        case .json:
            guard let after = JSONRewriter.write(message.payload, to: writer) else { return nil }
            writer = after
        }
        writer.endObject()
        return writer.bytes
    }

    /// Not quite ISO 8601: with a "Z", and the offset of the time zone after it.
    private static func timestamp(_ time: MessageTime) -> [UInt8] {
        time.formatted("%Y-%m-%dT%H:%M:%S.") + time.fraction(digits: 6) + time.formatted("Z%z")
    }

    /// mosquitto's commands keep the order of the packet. This is the one in which a mosquitto broker sends what
    /// a client published in the order of the specification.
    private static func write(_ message: MQTTMessage, to writer: inout JSONWriter) {
        let properties = message.properties
        writer.member("properties")
        writer.beginObject()
        for identifier in properties.subscriptionIdentifiers {
            writer.member("subscription-identifier")
            writer.number(Int(identifier))
        }
        if let payloadIsUTF8 = properties.payloadIsUTF8 {
            writer.member("payload-format-indicator")
            writer.number(payloadIsUTF8 ? 1 : 0)
        }
        if let contentType = properties.contentType {
            writer.member("content-type")
            writer.string(contentType.utf8)
        }
        if let responseTopic = properties.responseTopic {
            writer.member("response-topic")
            writer.string(responseTopic.utf8)
        }
        if let correlationData = properties.correlationData {
            writer.member("correlation-data")
            writer.string(correlationData)
        }
        if !properties.userProperties.isEmpty {
            writer.member("user-properties")
            writer.beginObject()
            for property in properties.userProperties {
                writer.member(property.name)
                writer.string(property.value.utf8)
            }
            writer.endObject()
        }
        if let interval = properties.messageExpiryInterval {
            writer.member("message-expiry-interval")
            writer.number(Int(interval))
        }
        if let alias = message.topicAlias {
            writer.member("topic-alias")
            writer.number(Int(alias))
        }
        writer.endObject()
    }
}

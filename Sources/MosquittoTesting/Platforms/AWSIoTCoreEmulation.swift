// SPDX-License-Identifier: Apache-2.0

/// AWS IoT Core: "AWS IoT Core endpoints and quotas" and the developer guide's "MQTT", "Protocols" and "Connecting to
/// AWS IoT Core by using custom authentication".
///
/// Stricter than the documents in two points: AWS discards messages beyond the rate and delays bytes beyond it, the
/// emulation ends the connection; AWS does not count the bytes of the three mandatory segments of Basic Ingest.
struct AWSIoTCoreEmulation: PlatformEmulation {
    /// The protocol that the client must offer by ALPN: that of port 443; `nil` for port 8883.
    let demanded: String?
    /// The authorizer that the user name must name; `nil` for client certificates.
    let authorizer: String?

    var applicationProtocols: [String] { demanded.map { [$0] } ?? [] }
    var grantedQoS: UInt8 { 1 }

    func verdict(on connect: ConnectPacket, applicationProtocol: String?) -> PlatformVerdict {
        if let demanded, applicationProtocol != demanded { return .close("no \(demanded) by ALPN on port 443") }
        if connect.clientID.utf8.count > 128 {
            return .refuse(v3: 0x02, v5: 0x85, "a client identifier of more than 128 bytes")
        }
        if let authorizer {
            let query =
                connect.username?.split(separator: "?", maxSplits: 1).last.map { $0.split(separator: "&") } ?? []
            guard query.contains("x-amz-customauthorizer-name=\(authorizer)") else {
                return .refuse(v5: 0x87, "a user name without the authorizer")
            }
        }
        return .pass()
    }

    func properties(of connect: ConnectPacket) -> [ReceivedProperty] {
        // Maximum QoS 1, no Subscription Identifiers.
        [ReceivedProperty(identifier: 0x24, value: [1]), ReceivedProperty(identifier: 0x29, value: [0])]
    }

    func verdict(on publish: PublishPacket, state: inout PlatformState) -> PlatformVerdict {
        // "When QoS level 2 is requested, the message broker doesn't send a PUBACK or SUBACK."
        if publish.qos == 2 { return .ignore("a message of QoS 2") }
        if publish.payload.readableBytes > 128 << 10 { return .refuse(v5: 0x95, "a payload of more than 128 KB") }
        let topic = publish.topic
        if topic.utf8.count > 256 { return .refuse(v5: 0x90, "a topic of more than 256 bytes") }
        let slashes = topic.hasPrefix("$aws/rules/") ? 10 : 7
        if PlatformText.slashes(topic) > slashes { return .refuse(v5: 0x90, "a topic with more than 7 slashes") }
        let second = state.published(publish.payload.readableBytes + topic.utf8.count)
        if second.messages > 100 { return .refuse(v5: 0x97, "more than 100 messages a second") }
        if second.bytes > 512_000, second.messages > 1 { return .refuse(v5: 0x97, "more than 512 KB a second") }
        return .pass()
    }

    func verdict(on subscribe: SubscribePacket) -> PlatformVerdict {
        if subscribe.requests.count > 8 { return .refuse(v5: 0x97, "more than 8 filters in a SUBSCRIBE") }
        if subscribe.requests.contains(where: { $0.options & 0x03 == 2 }) {
            return .ignore("a subscription of QoS 2")
        }
        if subscribe.subscriptionIdentifier != nil { return .refuse(v5: 0xA1, "a Subscription Identifier") }
        let filters = subscribe.requests.map { PlatformText.unshared($0.filter) }
        if filters.contains(where: { $0.utf8.count > 256 || PlatformText.slashes($0) > 7 }) {
            return .refuse(v5: 0x8F, "a filter of more than 256 bytes or 7 slashes")
        }
        return .pass()
    }

    func refusal(of filter: String, subscriptions: Int, isV5: Bool) -> UInt8? {
        subscriptions >= 50 ? (isV5 ? 0x97 : 0x80) : nil
    }
}

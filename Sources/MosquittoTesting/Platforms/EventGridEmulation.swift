// SPDX-License-Identifier: Apache-2.0

/// The MQTT broker of Azure Event Grid: "MQTT features supported by the Azure Event Grid MQTT broker", "Azure Event
/// Grid quotas and limits" and "Microsoft Entra JWT authentication and Azure RBAC authorization to publish or subscribe
/// MQTT messages".
///
/// Stricter than the documents in two points: it refuses Subscription Identifiers, which are in preview, and ends a
/// connection beyond the rate, for which the documents give no reaction.
struct EventGridEmulation: PlatformEmulation {
    let method: String
    let audience: String
    let tokens: TestTokenIssuer

    var grantedQoS: UInt8 { 1 }

    func verdict(on connect: ConnectPacket, applicationProtocol: String?) -> PlatformVerdict {
        if !connect.isV5 { return .refuse(v3: 0x05, v5: 0x84, "JWT authentication with MQTT 3.1.1") }
        if connect.properties[PropertyID.userProperty] != nil {
            return .refuse(v5: 0x83, "user properties of a CONNECT")
        }
        guard connect.properties[PropertyID.authenticationMethod] != nil else {
            return .refuse(
                v5: 0x87,
                connect.password == nil ? "no Authentication Method" : "a token in the password")
        }
        return check(connect.properties)
    }

    func properties(of connect: ConnectPacket) -> [ReceivedProperty] {
        // Maximum QoS 1, Maximum Packet Size, no Subscription Identifiers, ten aliases.
        var properties = [
            ReceivedProperty(identifier: 0x24, value: [1]), ReceivedProperty(identifier: 0x27, value: [0, 8, 0, 0]),
            ReceivedProperty(identifier: 0x29, value: [0]), ReceivedProperty(identifier: 0x22, value: [0, 10]),
            ReceivedProperty(identifier: PropertyID.authenticationMethod, string: method),
        ]
        // Server Keep Alive.
        if connect.keepAlive == 0 || connect.keepAlive > 1_160 {
            properties.append(ReceivedProperty(identifier: 0x13, value: [0x04, 0x88]))
        }
        return properties
    }

    func verdict(on publish: PublishPacket, state: inout PlatformState) -> PlatformVerdict {
        if publish.qos == 2 { return .refuse(v5: 0x9B, "a message of QoS 2") }
        if publish.payload.readableBytes > 512 << 10 { return .refuse(v5: 0x95, "a payload of more than 512 KiB") }
        if publish.retain, publish.payload.readableBytes > 64 << 10 {
            return .refuse(v5: 0x95, "a retained payload of more than 64 KiB")
        }
        let topic = publish.topic
        if topic.utf8.count > 256 { return .refuse(v5: 0x90, "a topic of more than 256 bytes") }
        if PlatformText.slashes(topic) > 14 { return .refuse(v5: 0x90, "a topic with more than 15 segments") }
        let second = state.published(publish.payload.readableBytes + topic.utf8.count)
        if second.messages > 1_000 { return .refuse(v5: 0x97, "more than 1,000 messages a second") }
        if second.bytes > 1_000_000, second.messages > 1 { return .refuse(v5: 0x97, "more than 1 MB a second") }
        return .pass()
    }

    func verdict(on subscribe: SubscribePacket) -> PlatformVerdict {
        if subscribe.requests.count > 10 { return .refuse(v5: 0x97, "more than 10 filters in a SUBSCRIBE") }
        if subscribe.subscriptionIdentifier != nil { return .refuse(v5: 0xA1, "a Subscription Identifier") }
        let filters = subscribe.requests.map { PlatformText.unshared($0.filter) }
        if filters.contains(where: { $0.utf8.count > 256 || PlatformText.slashes($0) > 14 }) {
            return .refuse(v5: 0x8F, "a filter of more than 256 bytes or 15 segments")
        }
        return .pass()
    }

    func verdict(on disconnect: [ReceivedProperty]) -> PlatformVerdict {
        disconnect[PropertyID.userProperty] == nil ? .pass() : .refuse(v5: 0x83, "user properties of a DISCONNECT")
    }

    func verdict(onReauthentication properties: [ReceivedProperty]) -> PlatformVerdict { check(properties) }

    func refusal(of filter: String, subscriptions: Int, isV5: Bool) -> UInt8? {
        subscriptions >= 50 ? 0x97 : nil
    }

    private func check(_ properties: [ReceivedProperty]) -> PlatformVerdict {
        guard properties[PropertyID.authenticationMethod]?.string == method else {
            return .refuse(v5: 0x8C, "another Authentication Method than \(method)")
        }
        guard let data = properties[PropertyID.authenticationData]?.bytes,
            let token = tokens.validate(String(decoding: data, as: UTF8.self))
        else { return .refuse(v5: 0x87, "no valid token in the Authentication Data") }
        guard token.audience == audience else { return .refuse(v5: 0x87, "a token for another audience") }
        return .pass(until: token.expiresAt)
    }
}

// SPDX-License-Identifier: Apache-2.0

/// The MQTT broker of Azure Event Grid: "MQTT features supported by the Azure Event Grid MQTT broker" and "Microsoft
/// Entra JWT authentication and Azure RBAC authorization to publish or subscribe MQTT messages".
struct EventGridEmulation: PlatformEmulation {
    let method: String
    let audience: String
    let tokens: TestTokenIssuer

    var grantedQoS: UInt8 { 1 }

    func verdict(on connect: ConnectPacket, applicationProtocol: String?) -> PlatformVerdict {
        if !connect.isV5 { return .refuse(v3: 0x05, v5: 0x84, "JWT authentication with MQTT 3.1.1") }
        if connect.clientID.isEmpty { return .refuse(v5: 0x85, "no client identifier") }
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
        // Maximum QoS 1, Maximum Packet Size, neither Subscription Identifiers nor shared subscriptions, ten aliases.
        var properties = [
            ReceivedProperty(identifier: 0x24, value: [1]), ReceivedProperty(identifier: 0x27, value: [0, 8, 0, 0]),
            ReceivedProperty(identifier: 0x29, value: [0]), ReceivedProperty(identifier: 0x2A, value: [0]),
            ReceivedProperty(identifier: 0x22, value: [0, 10]),
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
        return .pass()
    }

    func verdict(on subscribe: SubscribePacket) -> PlatformVerdict {
        subscribe.subscriptionIdentifier == nil ? .pass() : .refuse(v5: 0xA1, "a Subscription Identifier")
    }

    func verdict(on disconnect: [ReceivedProperty]) -> PlatformVerdict {
        disconnect[PropertyID.userProperty] == nil ? .pass() : .refuse(v5: 0x83, "user properties of a DISCONNECT")
    }

    func verdict(onReauthentication properties: [ReceivedProperty]) -> PlatformVerdict { check(properties) }

    func refusal(of filter: String, subscriptions: Int, isV5: Bool) -> UInt8? {
        PlatformText.isShared(filter) ? 0x9E : nil
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

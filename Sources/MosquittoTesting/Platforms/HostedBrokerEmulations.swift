// SPDX-License-Identifier: Apache-2.0

/// ClearBlade IoT Core for one device: "Publishing over MQTT", "Using JSON web tokens" and "Quotas and limits" of its
/// documentation.
///
/// Stricter than the documents in one point: ClearBlade closes a connection ten minutes after its token has expired,
/// the emulation at once.
struct ClearBladeEmulation: PlatformEmulation {
    let project: String
    /// The client identifier of the device.
    let path: String
    let device: String
    let tokens: TestTokenIssuer

    var grantedQoS: UInt8 { 1 }

    func verdict(on connect: ConnectPacket, applicationProtocol: String?) -> PlatformVerdict {
        if connect.level != 4 { return .refuse(v3: 0x01, v5: 0x84, "another version than MQTT 3.1.1") }
        if connect.clientID != path {
            return .refuse(v3: 0x02, v5: 0x85, "another client identifier than the device's path")
        }
        guard let password = connect.password, let token = tokens.validate(String(decoding: password, as: UTF8.self))
        else { return .refuse(v3: 0x04, v5: 0x86, "no valid token") }
        // "This must be a single string containing the cloud project ID."
        guard token.audience == project else { return .refuse(v3: 0x04, v5: 0x86, "a token for another audience") }
        // "The token's maximum lifetime is 24 hours + skew", which is ten minutes.
        if token.expiresAt.timeIntervalSinceNow > 24 * 3_600 + 600 {
            return .refuse(v3: 0x04, v5: 0x86, "a token for more than 24 hours")
        }
        return .pass(until: token.expiresAt)
    }

    func verdict(on publish: PublishPacket, state: inout PlatformState) -> PlatformVerdict {
        if publish.qos == 2 { return .close("a message of QoS 2") }
        if publish.payload.readableBytes > 256 << 10 { return .close("a payload of more than 256 KB") }
        let isOwn = publish.topic.hasPrefix("/devices/\(device)/events") || publish.topic == "/devices/\(device)/state"
        return isOwn ? .pass() : .close("a topic of its own")
    }
}

/// A broker with user names and passwords, which no client may leave out: HiveMQ Cloud, and the EMQX platform with the
/// limits of "Quotas and Limits".
struct HostedBrokerEmulation: PlatformEmulation {
    struct Limits {
        var clientIDBytes = Int.max
        var payloadBytes = Int.max
        var topicLevels = Int.max
        var subscriptions = Int.max
        /// Messages a second.
        var rate = Int.max
    }

    let username: String
    let password: String
    var limits = Limits()

    func verdict(on connect: ConnectPacket, applicationProtocol: String?) -> PlatformVerdict {
        guard connect.username != nil, connect.password != nil else { return .refuse(v5: 0x87, "an anonymous client") }
        let given = connect.password.map { String(decoding: $0, as: UTF8.self) }
        guard connect.username == username, given == password else {
            return .refuse(v3: 0x04, v5: 0x86, "a wrong user name or password")
        }
        if connect.clientID.utf8.count > limits.clientIDBytes {
            return .refuse(v3: 0x02, v5: 0x85, "a client identifier of more than \(limits.clientIDBytes) bytes")
        }
        return .pass()
    }

    func verdict(on publish: PublishPacket, state: inout PlatformState) -> PlatformVerdict {
        if publish.payload.readableBytes > limits.payloadBytes {
            return .refuse(v5: 0x95, "a payload that is too large")
        }
        if PlatformText.slashes(publish.topic) + 1 > limits.topicLevels {
            return .refuse(v5: 0x90, "a topic with more than \(limits.topicLevels) levels")
        }
        if state.published(publish.payload.readableBytes).messages > limits.rate {
            return .refuse(v5: 0x96, "more than \(limits.rate) messages a second")
        }
        return .pass()
    }

    func refusal(of filter: String, subscriptions: Int, isV5: Bool) -> UInt8? {
        if PlatformText.slashes(PlatformText.unshared(filter)) + 1 > limits.topicLevels { return isV5 ? 0x8F : 0x80 }
        return subscriptions >= limits.subscriptions ? (isV5 ? 0x97 : 0x80) : nil
    }
}

// SPDX-License-Identifier: Apache-2.0

internal import Crypto
internal import Mosquitto

#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

/// Azure IoT Hub for one device: "Communicate with an IoT hub using the MQTT protocol" and "Control access to IoT Hub
/// with shared access signatures".
struct IoTHubEmulation: PlatformEmulation {
    let hub: String
    let device: String
    /// The device's key, in Base64.
    let key: String

    var grantedQoS: UInt8 { 1 }

    func verdict(on connect: ConnectPacket, applicationProtocol: String?) -> PlatformVerdict {
        if connect.level != 4 { return .refuse(v3: 0x01, v5: 0x84, "another version than MQTT 3.1.1") }
        if connect.clientID != device {
            return .refuse(v3: 0x02, v5: 0x85, "another client identifier than the device")
        }
        guard connect.username?.hasPrefix("\(hub)/\(device)/?api-version=") == true else {
            return .refuse(v5: 0x86, "a user name without hub, device and api-version")
        }
        guard let password = connect.password, let expiry = expiry(of: String(decoding: password, as: UTF8.self)) else {
            return .refuse(v5: 0x87, "no valid shared access signature")
        }
        if expiry <= Date.now { return .refuse(v5: 0x87, "an expired shared access signature") }
        return .pass(until: expiry)
    }

    func verdict(on publish: PublishPacket, state: inout PlatformState) -> PlatformVerdict {
        if publish.qos == 2 { return .close("a message of QoS 2") }
        if publish.payload.readableBytes > 256 << 10 { return .close("a payload of more than 256 KB") }
        let prefixes = [
            "devices/\(device)/messages/events/", "$iothub/twin/GET/", "$iothub/twin/PATCH/properties/reported/",
            "$iothub/methods/res/",
        ]
        return prefixes.contains { publish.topic.hasPrefix($0) } ? .pass() : .close("a topic of its own")
    }

    func verdict(on subscribe: SubscribePacket) -> PlatformVerdict {
        let filters = [
            "devices/\(device)/messages/devicebound/#", "$iothub/twin/res/#",
            "$iothub/twin/PATCH/properties/desired/#", "$iothub/methods/POST/#",
        ]
        return subscribe.requests.allSatisfy { filters.contains($0.filter) } ? .pass() : .close("a filter of its own")
    }

    func refusal(of filter: String, subscriptions: Int, isV5: Bool) -> UInt8? { subscriptions >= 5 ? 0x80 : nil }

    /// The expiry of a signature that this device's key has made.
    private func expiry(of token: String) -> Date? {
        let prefix = "SharedAccessSignature "
        guard token.hasPrefix(prefix), let key = Data(base64Encoded: key) else { return nil }
        var fields: [Substring: String] = [:]
        for field in token.dropFirst(prefix.count).split(separator: "&") {
            let parts = field.split(separator: "=", maxSplits: 1)
            if parts.count == 2 { fields[parts[0]] = String(parts[1]) }
        }
        guard let resource = fields["sr"], let expiry = fields["se"].flatMap(Int64.init),
            PercentEncoding.decoded(resource) == "\(hub)/devices/\(device)",
            let signature = fields["sig"].flatMap(PercentEncoding.decoded).flatMap({ Data(base64Encoded: $0) }),
            HMAC<SHA256>.isValidAuthenticationCode(
                signature, authenticating: Data("\(resource)\n\(expiry)".utf8), using: SymmetricKey(data: key))
        else { return nil }
        return Date(timeIntervalSince1970: TimeInterval(expiry))
    }
}

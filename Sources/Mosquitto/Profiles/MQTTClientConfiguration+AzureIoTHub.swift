// SPDX-License-Identifier: Apache-2.0

/// The ways in which a device authenticates to Azure IoT Hub.
public struct MQTTIoTHubAuthentication: Sendable {
    enum Kind: Sendable {
        case key(MQTTSecret, policy: String?, lifetime: Duration)
        case certificate(MQTTTLSConfiguration.Identity)
    }

    let kind: Kind

    /// A shared access key, the device's own or that of a policy. The client signs a token with it for each connection,
    /// and rotates it before its lifetime ends.
    ///
    /// - Parameters:
    ///   - key: the key in Base64.
    ///   - policy: the name of the policy of the key; `nil` for a device's key.
    ///   - lifetime: the lifetime of a token, at least one minute. Default one hour.
    public static func sharedAccessKey(
        _ key: MQTTSecret, policy: String? = nil, lifetime: Duration = .seconds(3_600)
    ) -> MQTTIoTHubAuthentication {
        MQTTIoTHubAuthentication(kind: .key(key, policy: policy, lifetime: lifetime))
    }

    /// A client certificate, which the hub knows.
    public static func certificate(_ identity: MQTTTLSConfiguration.Identity) -> MQTTIoTHubAuthentication {
        MQTTIoTHubAuthentication(kind: .certificate(identity))
    }
}

extension MQTTClientConfiguration {
    /// Returns a configuration for a device of Azure IoT Hub; see <doc:AzureIoTHub>.
    ///
    /// - Parameters:
    ///   - hub: the host name of the hub, such as "contoso.azure-devices.net".
    ///   - device: the identifier of the device, which is the client identifier too.
    ///   - authentication: how the device authenticates.
    ///   - webSocket: true to connect by WebSocket on port 443 instead of port 8883.
    public static func azureIoTHub(
        hub: String, device: String, authentication: MQTTIoTHubAuthentication, webSocket: Bool = false
    ) -> MQTTClientConfiguration {
        var configuration = MQTTClientConfiguration(
            endpoints: [
                webSocket
                    ? .secureWebSocket(host: hub, path: "/$iothub/websocket") : MQTTEndpoint(host: hub, port: 8883)
            ])
        configuration.version = .v3_1_1
        configuration.clientID = device
        configuration.platformLimits = .azureIoTHub(device: device)
        let username = "\(hub)/\(device)/?api-version=2021-04-12"
        switch authentication.kind {
        case .key(let key, let policy, let lifetime):
            configuration.credentials = .sharedAccessSignature(
                resource: "\(hub)/devices/\(device)", key: key, policy: policy, username: username,
                lifetime: lifetime)
        case .certificate(let identity):
            configuration.tls?.identity = identity
            configuration.credentials = .static(username: username, password: nil)
        }
        return configuration
    }
}

extension MQTTPlatformLimits {
    /// The limits of Azure IoT Hub for a device, from "Communicate with an IoT hub using the MQTT protocol"
    /// (learn.microsoft.com).
    public static func azureIoTHub(device: String) -> MQTTPlatformLimits {
        var limits = MQTTPlatformLimits(
            name: "Azure IoT Hub",
            documents: [
                "https://learn.microsoft.com/azure/iot/iot-mqtt-connect-to-iot-hub",
                "https://learn.microsoft.com/azure/iot-hub/authenticate-authorize-sas",
            ])
        // "Limited feature support for MQTT v3.1.1"; the support for MQTT 5 is deprecated.
        limits.versions = [.v3_1_1]
        // "The maximum client keep-alive value you can set is 1767 / 1.5 = 1177 seconds."
        limits.longestKeepAlive = .seconds(1_177)
        // "If a device app publishes a message with QoS 2, IoT Hub closes the network connection."
        limits.maximumQoS = .atLeastOnce
        // "256-KB max message size."
        limits.payloadBytes = 256 << 10
        // "IoT Hub doesn't persist Retain messages", but passes them on with a property.
        limits.retainedPayloadBytes = 0
        limits.hasSharedSubscriptions = false
        // "A device can only subscribe to five topics at a time."
        limits.subscriptions = 5
        // "It only supports the documented topic names and topic filters."
        limits.publishable = [
            "devices/\(device)/messages/events/#", "$iothub/twin/GET/#", "$iothub/twin/PATCH/properties/reported/#",
            "$iothub/methods/res/#",
        ]
        limits.subscribable = [
            "devices/\(device)/messages/devicebound/#", "$iothub/twin/res/#", "$iothub/twin/PATCH/properties/desired/#",
            "$iothub/methods/POST/#",
        ]
        return limits
    }
}

// SPDX-License-Identifier: Apache-2.0

import Mosquitto

/// The habits of hosted platforms, known by their host names: each refuses without naming the cause.
enum PlatformHint {
    /// The likely causes of a failed connection to a platform, the likeliest first; nothing for other hosts.
    static func likely(
        _ endpoint: MQTTEndpoint, _ configuration: MQTTClientConfiguration, username: String?, hasPassword: Bool
    ) -> [String] {
        let host = endpoint.host.lowercased()
        let isVersion5 = configuration.version == .v5_0
        if host.hasSuffix(".azure-devices.net") {
            let isUser = username?.lowercased().hasPrefix(host + "/") == true
            return list(
                isVersion5 ? "Azure IoT Hub speaks MQTT 3.1.1 only (-V mqttv311)" : nil,
                isUser ? nil : "Azure IoT Hub wants the user name \(host)/DEVICE/?api-version=2021-04-12")
        }
        if host.hasSuffix(".ts.eventgrid.azure.net") {
            return list(
                hasPassword && configuration.authenticator == nil
                    ? "Azure Event Grid takes a token as Authentication Data (OAUTH2-JWT), and not as the password"
                    : nil)
        }
        if host.contains(".iot."), host.hasSuffix(".amazonaws.com") || host.hasSuffix(".amazonaws.com.cn") {
            let hasProtocol = configuration.tls?.applicationProtocols.isEmpty == false
            return list(
                endpoint.port == 443 && endpoint.webSocket == nil && !hasProtocol
                    ? "AWS IoT Core wants x-amzn-mqtt-ca, or mqtt for a custom authorizer, by --tls-alpn on port 443"
                    : nil,
                "AWS IoT Core closes a connection whose policy does not allow the client identifier")
        }
        if host.hasSuffix("mqtt.clearblade.com") {
            return list(
                isVersion5 ? "ClearBlade IoT Core speaks MQTT 3.1.1 only (-V mqttv311)" : nil,
                configuration.clientID?.hasPrefix("projects/") == true
                    ? nil : "ClearBlade IoT Core wants the path of the device as the client identifier (-i)")
        }
        if host.hasSuffix(".hivemq.cloud") || host.hasSuffix(".emqxsl.com") {
            return list(hasPassword ? nil : "this platform takes no anonymous client (-u, -P)")
        }
        return []
    }

    private static func list(_ causes: String?...) -> [String] { causes.compactMap { $0 } }
}

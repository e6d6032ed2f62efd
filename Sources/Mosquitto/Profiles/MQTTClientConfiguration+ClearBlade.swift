// SPDX-License-Identifier: Apache-2.0

extension MQTTClientConfiguration {
    /// Returns a configuration for a device of ClearBlade IoT Core, the successor of Google Cloud IoT Core; see
    /// <doc:ClearBlade>.
    ///
    /// - Parameters:
    ///   - project: the project, which the token has as its audience (aud).
    ///   - region: the region of the registry, such as "us-central1".
    ///   - registry: the registry of the device.
    ///   - device: the device.
    ///   - tokens: JWTs that the device signs, with `MQTTSignedCredentials` of `MosquittoTokens` for instance; valid
    ///     for 24 hours at most.
    ///   - host: the broker; `nil`, the default, for "REGION-mqtt.clearblade.com".
    ///   - port: 8883, the default, or 443.
    public static func clearBlade(
        project: String, region: String, registry: String, device: String, tokens: any MQTTCredentialProvider,
        host: String? = nil, port: Int = 8883
    ) -> MQTTClientConfiguration {
        var configuration = MQTTClientConfiguration(host: host ?? "\(region)-mqtt.clearblade.com", port: port)
        configuration.version = .v3_1_1
        configuration.clientID =
            "projects/\(project)/locations/\(region)/registries/\(registry)/devices/\(device)"
        configuration.platformLimits = .clearBlade(device: device)
        // "Device-to-cloud throughput per device: 512 KB/s."
        configuration.publishing.rate = MQTTPublishRate(bytesPerSecond: 512_000)
        configuration.credentials = CheckedTokens(
            base: tokens, platform: MQTTPlatformLimits.clearBlade(device: device).name, audiences: [project],
            longestLifetime: .seconds(86_400), username: "unused")
        return configuration
    }
}

extension MQTTPlatformLimits {
    /// The limits of ClearBlade IoT Core for a device, from "Publishing over MQTT", "Using JSON web tokens",
    /// "Requirements" and "Quotas and limits" of ClearBlade's documentation.
    public static func clearBlade(device: String) -> MQTTPlatformLimits {
        var limits = MQTTPlatformLimits(
            name: "ClearBlade IoT Core",
            documents: [
                "https://clearblade.atlassian.net/wiki/spaces/IC/pages/2202566686",
                "https://clearblade.atlassian.net/wiki/spaces/IC/pages/2202206402",
                "https://clearblade.atlassian.net/wiki/spaces/IC/pages/2203582552",
                "https://clearblade.atlassian.net/wiki/spaces/IC/pages/2203385926",
            ])
        // "MQTT version 3.1.1 is required."
        limits.versions = [.v3_1_1]
        // "Publishing QoS 2 messages closes the connection."
        limits.maximumQoS = .atLeastOnce
        // "ClearBlade IoT Core's idle time limit is 20 minutes."
        limits.longestKeepAlive = .seconds(1_200)
        // "Telemetry event payload: 256 KB." Retained messages "are not supported".
        limits.payloadBytes = 256 << 10
        limits.retainedPayloadBytes = 0
        limits.hasSharedSubscriptions = false
        // "ClearBlade IoT Core uses a predefined set of topics."
        limits.publishable = ["/devices/\(device)/events/#", "/devices/\(device)/state"]
        limits.subscribable = ["/devices/\(device)/config", "/devices/\(device)/commands/#"]
        return limits
    }
}

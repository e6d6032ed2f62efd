// SPDX-License-Identifier: Apache-2.0

extension MQTTClientConfiguration {
    /// Returns a configuration for AWS IoT Core; see <doc:AWSIoTCore>.
    ///
    /// - Parameters:
    ///   - endpoint: the data endpoint of the account, such as "ID-ats.iot.eu-central-1.amazonaws.com".
    ///   - clientID: the client identifier, at most 128 bytes; the policy must allow it.
    ///   - authentication: how the client authenticates.
    public static func awsIoTCore(
        endpoint: String, clientID: String, authentication: MQTTAWSIoTAuthentication
    ) -> MQTTClientConfiguration {
        var configuration = MQTTClientConfiguration(host: endpoint, port: 8883)
        configuration.clientID = clientID
        configuration.platformLimits = .awsIoTCore
        configuration.receiving.maximumFiltersPerSubscribe = 8
        configuration.receiving.usesSubscriptionIdentifiers = false
        // "Publish requests per second per connection: 100", "Throughput per second per connection: 512 KiB", of which
        // the smaller reading is taken.
        configuration.publishing.rate = MQTTPublishRate(messagesPerSecond: 100, bytesPerSecond: 512_000)
        switch authentication.kind {
        case .certificate(let identity, let port):
            configuration.endpoints = [MQTTEndpoint(host: endpoint, port: port)]
            configuration.tls?.identity = identity
            if port == 443 { configuration.tls?.applicationProtocols = ["x-amzn-mqtt-ca"] }
        case .authorizer(let credentials):
            configuration.endpoints = [MQTTEndpoint(host: endpoint, port: 443)]
            configuration.tls?.applicationProtocols = ["mqtt"]
            configuration.credentials = credentials
        case .signature(let preparation):
            configuration.endpoints = [.secureWebSocket(host: endpoint)]
            configuration.webSocket.prepare = preparation
        }
        return configuration
    }
}

extension MQTTPlatformLimits {
    /// The limits of AWS IoT Core, from "AWS IoT Core endpoints and quotas" and "MQTT" of the developer guide
    /// (docs.aws.amazon.com).
    public static var awsIoTCore: MQTTPlatformLimits {
        var limits = MQTTPlatformLimits(
            name: "AWS IoT Core",
            documents: [
                "https://docs.aws.amazon.com/general/latest/gr/iot-core.html",
                "https://docs.aws.amazon.com/iot/latest/developerguide/mqtt.html",
                "https://docs.aws.amazon.com/iot/latest/developerguide/protocols.html",
                "https://docs.aws.amazon.com/iot/latest/developerguide/custom-auth.html",
            ])
        // "Client ID size: 128 bytes of UTF-8 encoded characters."
        limits.clientIDBytes = 128
        // "Connection inactivity (keep-alive interval): … between 30 - 1200 seconds." AWS takes 1,200 s for zero and
        // for more, and 30 s for less.
        limits.longestKeepAlive = .seconds(1_200)
        // "AWS IoT supports MQTT quality of service (QoS) levels 0 and 1 only."
        limits.maximumQoS = .atLeastOnce
        // "Message size: the payload for every publish request can be no larger than 128 KB."
        limits.payloadBytes = 128 << 10
        // "Topic size: 256 bytes", "Maximum number of slashes in topic and topic filter: 7", both without the three
        // mandatory segments of Basic Ingest. Only the slashes of these segments are left out here.
        limits.topicBytes = 256
        limits.topicLevels = 8
        limits.longTopicPrefix = "$aws/rules/"
        // "Maximum subscriptions per subscribe request: 8", "Subscriptions per connection: 50".
        limits.filtersPerSubscribe = 8
        limits.subscriptions = 50
        return limits
    }
}

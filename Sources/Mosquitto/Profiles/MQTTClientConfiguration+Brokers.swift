// SPDX-License-Identifier: Apache-2.0

/// The plan of a deployment of the EMQX platform.
public enum MQTTEMQXPlan: Sendable, Hashable {
    /// A shared deployment, with fixed limits.
    case serverless
    /// A deployment of your own, whose limits you set.
    case dedicated
}

extension MQTTClientConfiguration {
    /// Returns a configuration for HiveMQ Cloud; see <doc:HiveMQCloud>.
    ///
    /// - Parameters:
    ///   - host: the host name of the cluster, such as "ID.s1.eu.hivemq.cloud".
    ///   - clientID: the client identifier; `nil` to let the client generate one.
    ///   - credentials: the user name and the password, which HiveMQ Cloud demands.
    ///   - webSocket: true to connect by WebSocket on port 8884 instead of port 8883.
    public static func hiveMQCloud(
        host: String, clientID: String? = nil, credentials: any MQTTCredentialProvider, webSocket: Bool = false
    ) -> MQTTClientConfiguration {
        hosted(host, clientID, credentials, webSocketPort: webSocket ? 8884 : nil, .hiveMQCloud)
    }

    /// Returns a configuration for a deployment of the EMQX platform; see <doc:EMQX>.
    ///
    /// - Parameters:
    ///   - host: the host name of the deployment, such as "ID.ala.eu-central-1.emqxsl.com".
    ///   - clientID: the client identifier; `nil` to let the client generate one.
    ///   - credentials: the user name and the password or JWT.
    ///   - plan: the plan, which determines the limits. Default ``MQTTEMQXPlan/serverless``.
    ///   - webSocket: true to connect by WebSocket on port 8084 instead of port 8883.
    public static func emqx(
        host: String, clientID: String? = nil, credentials: any MQTTCredentialProvider,
        plan: MQTTEMQXPlan = .serverless, webSocket: Bool = false
    ) -> MQTTClientConfiguration {
        var configuration = hosted(
            host, clientID, credentials, webSocketPort: webSocket ? 8084 : nil, .emqx(plan))
        // "Maximum publish TPS per client: 10/s."
        if plan == .serverless { configuration.publishing.rate = MQTTPublishRate(messagesPerSecond: 10) }
        return configuration
    }

    private static func hosted(
        _ host: String, _ clientID: String?, _ credentials: any MQTTCredentialProvider, webSocketPort: Int?,
        _ limits: MQTTPlatformLimits
    ) -> MQTTClientConfiguration {
        var configuration = MQTTClientConfiguration(
            endpoints: [
                webSocketPort.map { .secureWebSocket(host: host, port: $0) } ?? MQTTEndpoint(host: host, port: 8883)
            ])
        configuration.clientID = clientID
        configuration.credentials = credentials
        configuration.platformLimits = limits
        return configuration
    }
}

extension MQTTPlatformLimits {
    /// The limits of HiveMQ Cloud: TLS, and credentials. The broker announces its other limits in the CONNACK.
    public static var hiveMQCloud: MQTTPlatformLimits {
        MQTTPlatformLimits(name: "HiveMQ Cloud", documents: ["https://docs.hivemq.com/hivemq-cloud/authn-authz.html"])
    }

    /// The limits of the EMQX platform, from "Quotas and Limits" (docs.emqx.com). Those of a dedicated deployment are
    /// yours to set.
    public static func emqx(_ plan: MQTTEMQXPlan) -> MQTTPlatformLimits {
        var limits = MQTTPlatformLimits(
            name: plan == .serverless ? "EMQX Serverless" : "EMQX",
            documents: ["https://docs.emqx.com/en/cloud/latest/create/restriction.html"])
        guard plan == .serverless else { return limits }
        // "Client ID maximum length: 1024."
        limits.clientIDBytes = 1_024
        // "Maximum message size: 1 MB", "Maximum size of a retained message: 1 MB".
        limits.payloadBytes = 1 << 20
        // "Maximum topic levels per subscription: 10." EMQX's max_topic_levels limits topic names too.
        limits.topicLevels = 10
        // "Maximum subscriptions per client: 10."
        limits.subscriptions = 10
        return limits
    }
}

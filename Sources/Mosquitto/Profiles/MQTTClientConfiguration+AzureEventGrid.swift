// SPDX-License-Identifier: Apache-2.0

/// The ways in which a client authenticates to the MQTT broker of Azure Event Grid.
public struct MQTTEventGridAuthentication: Sendable {
    enum Kind: Sendable {
        case token(method: String, any MQTTCredentialProvider, audiences: [String]?)
        case certificate(MQTTTLSConfiguration.Identity, name: String?)
    }

    let kind: Kind

    /// Microsoft Entra tokens, with the audience `https://eventgrid.azure.net/`. The password of `tokens` is sent as
    /// Authentication Data with the method OAUTH2-JWT, and renewed by AUTH before it expires.
    public static func entra(_ tokens: any MQTTCredentialProvider) -> MQTTEventGridAuthentication {
        // "Microsoft Entra JWT authentication and Azure RBAC authorization" has the slash. Accepts a token without it:
        // the check is for a token of another service.
        let audiences = ["https://eventgrid.azure.net/", "https://eventgrid.azure.net"]
        return MQTTEventGridAuthentication(kind: .token(method: "OAUTH2-JWT", tokens, audiences: audiences))
    }

    /// Tokens of your own issuer, which the namespace trusts (CUSTOM-JWT). `audience` is the host name of the namespace
    /// or its custom domain; `nil` to leave the check to the broker.
    public static func customJWT(
        _ tokens: any MQTTCredentialProvider, audience: String? = nil
    ) -> MQTTEventGridAuthentication {
        MQTTEventGridAuthentication(
            kind: .token(method: "CUSTOM-JWT", tokens, audiences: audience.map { [$0] }))
    }

    /// A client certificate. `name` is the client's authentication name, sent as the user name; `nil` if the namespace
    /// takes it from the certificate (`alternativeAuthenticationNameSources`).
    public static func certificate(
        _ identity: MQTTTLSConfiguration.Identity, name: String?
    ) -> MQTTEventGridAuthentication {
        MQTTEventGridAuthentication(kind: .certificate(identity, name: name))
    }
}

extension MQTTClientConfiguration {
    /// Returns a configuration for the MQTT broker of an Azure Event Grid namespace; see <doc:AzureEventGrid>.
    ///
    /// - Parameters:
    ///   - host: the MQTT host name of the namespace, such as "NAME.westeurope-1.ts.eventgrid.azure.net".
    ///   - clientID: the session name, unique in the namespace.
    ///   - authentication: how the client authenticates.
    ///   - webSocket: true to connect by WebSocket on port 443 instead of port 8883.
    public static func azureEventGrid(
        host: String, clientID: String, authentication: MQTTEventGridAuthentication, webSocket: Bool = false
    ) -> MQTTClientConfiguration {
        var configuration = MQTTClientConfiguration(
            endpoints: [webSocket ? .secureWebSocket(host: host) : MQTTEndpoint(host: host, port: 8883)])
        configuration.clientID = clientID
        configuration.platformLimits = .azureEventGrid
        // Subscription identifiers are in preview ("What's new in Azure Event Grid?", April 2026).
        configuration.receiving.usesSubscriptionIdentifiers = false
        // "Inbound MQTT publishing requests per session: 1,000 messages per second", "bandwidth per session: 1 MB".
        configuration.publishing.rate = MQTTPublishRate(messagesPerSecond: 1_000, bytesPerSecond: 1_000_000)
        switch authentication.kind {
        case .token(let method, let tokens, let audiences):
            configuration.credentials = CheckedTokens(
                base: tokens, platform: MQTTPlatformLimits.azureEventGrid.name, audiences: audiences)
            configuration.authenticator = .token(method: method)
            configuration.rotation.method = .reauthenticate
        case .certificate(let identity, let name):
            configuration.tls?.identity = identity
            if let name { configuration.credentials = .static(username: name, password: nil) }
        }
        return configuration
    }
}

extension MQTTPlatformLimits {
    /// The limits of Azure Event Grid, from "MQTT features supported by the Azure Event Grid MQTT broker", "Azure Event
    /// Grid quotas and limits" and "Support for MQTT Retain in Azure Event Grid" (learn.microsoft.com).
    public static var azureEventGrid: MQTTPlatformLimits {
        let folder = "https://learn.microsoft.com/azure/event-grid/"
        var limits = MQTTPlatformLimits(
            name: "Azure Event Grid",
            documents: [
                "mqtt-support", "quotas-limits", "mqtt-retain", "mqtt-shared-subscriptions",
                "mqtt-client-microsoft-entra-token-and-rbac",
            ]
            .map { folder + $0 })
        // "Keep Alive Maximum is 1,160 seconds."
        limits.longestKeepAlive = .seconds(1_160)
        // "Session expiry interval: 8 hours, configurable on the Event Grid namespace."
        limits.longestSessionExpiry = .seconds(8 * 3_600)
        // "User Properties on CONNECT, SUBSCRIBE, DISCONNECT, PUBACK, AUTH packets … the request fails."
        limits.hasUserPropertiesOfMessagesOnly = true
        // "Maximum QoS is 1."
        limits.maximumQoS = .atLeastOnce
        // "MQTT broker has a message size limit of 512 KiB."
        limits.payloadBytes = 512 << 10
        // "Maximum size per retained message is 64 KB."
        limits.retainedPayloadBytes = 64 << 10
        // "Topic size: 256 B", "Segments per topic/topic filter: 15".
        limits.topicBytes = 256
        limits.topicLevels = 15
        // "Topic filters per MQTT SUBSCRIBE packet: 10", "Subscriptions per MQTT session: 50".
        limits.filtersPerSubscribe = 10
        limits.subscriptions = 50
        return limits
    }
}

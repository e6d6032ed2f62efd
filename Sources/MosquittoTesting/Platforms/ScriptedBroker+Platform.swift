// SPDX-License-Identifier: Apache-2.0

extension ScriptedBroker {
    /// A hosted platform whose rules a ``ScriptedBroker`` enforces: it refuses what the platform's documents say that
    /// the platform refuses.
    ///
    /// ```swift
    /// let broker = try await ScriptedBroker.start(
    ///     tls: authority.serverIdentity(), platform: .hiveMQCloud(username: "kitchen", password: "secret"))
    /// ```
    ///
    /// An emulation knows documents only, and nothing was compared with the platform itself. Topics, permissions and
    /// throttling of an account are not emulated.
    public struct Platform: Sendable {
        let emulation: any PlatformEmulation

        /// AWS IoT Core on port 8883, with client certificates (`clientAuthority`).
        public static let awsIoTCore = Platform(emulation: AWSIoTCoreEmulation(demanded: nil, authorizer: nil))

        /// AWS IoT Core on port 443, with client certificates: the client must offer `x-amzn-mqtt-ca` by ALPN.
        public static let awsIoTCoreOnPort443 = Platform(
            emulation: AWSIoTCoreEmulation(demanded: "x-amzn-mqtt-ca", authorizer: nil))

        /// AWS IoT Core on port 443 with a custom authorizer: the client must offer `mqtt` by ALPN, and name the
        /// authorizer in its user name.
        public static func awsIoTCore(authorizer: String) -> Platform {
            Platform(emulation: AWSIoTCoreEmulation(demanded: "mqtt", authorizer: authorizer))
        }

        /// The MQTT broker of Azure Event Grid, with tokens of this issuer as Authentication Data.
        ///
        /// - Parameters:
        ///   - tokens: The issuer.
        ///   - method: The Authentication Method, OAUTH2-JWT for Microsoft Entra and CUSTOM-JWT for another issuer.
        ///   - audience: The `aud` claim that tokens must have.
        public static func azureEventGrid(
            tokens: TestTokenIssuer, method: String = "OAUTH2-JWT", audience: String = "https://eventgrid.azure.net/"
        ) -> Platform {
            Platform(emulation: EventGridEmulation(method: method, audience: audience, tokens: tokens))
        }

        /// Azure IoT Hub for a device with this key, in Base64.
        public static func azureIoTHub(hub: String, device: String, key: String) -> Platform {
            Platform(emulation: IoTHubEmulation(hub: hub, device: device, key: key))
        }

        /// ClearBlade IoT Core for a device whose tokens this issuer signs.
        public static func clearBlade(
            project: String, region: String, registry: String, device: String, tokens: TestTokenIssuer
        ) -> Platform {
            let path = "projects/\(project)/locations/\(region)/registries/\(registry)/devices/\(device)"
            return Platform(
                emulation: ClearBladeEmulation(project: project, path: path, device: device, tokens: tokens))
        }

        /// HiveMQ Cloud with one user.
        public static func hiveMQCloud(username: String, password: String) -> Platform {
            Platform(emulation: HostedBrokerEmulation(username: username, password: password))
        }

        /// EMQX Serverless with one user.
        public static func emqxServerless(username: String, password: String) -> Platform {
            let limits = HostedBrokerEmulation.Limits(
                clientIDBytes: 1_024, payloadBytes: 1 << 20, topicLevels: 10, subscriptions: 10, rate: 10)
            return Platform(
                emulation: HostedBrokerEmulation(username: username, password: password, limits: limits))
        }
    }

    /// The reasons for which the ``Platform`` has refused packets, in order.
    public var platformRefusals: [String] { record.withState { $0.platformRefusals } }
}

// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Testing

extension ScriptedBroker {
    /// Starts a broker with the rules of a platform, and with TLS for localhost.
    static func emulating(_ platform: Platform, clientAuthority: String? = nil) async throws -> ScriptedBroker {
        try await start(tls: TestTLS.identity, clientAuthority: clientAuthority, platform: platform)
    }

    /// The profile, with this broker in place of the platform.
    func here(_ profile: MQTTClientConfiguration) -> MQTTClientConfiguration {
        var configuration = profile
        configuration.endpoints = [MQTTEndpoint(host: "localhost", port: port)]
        configuration.tls?.trust = .pem(TestTLS.authority.certificatePEM)
        configuration.retry.baseDelay = .milliseconds(20)
        configuration.retry.maximumDelay = .milliseconds(100)
        configuration.retry.minimumDelay = .milliseconds(10)
        configuration.retry.minimumAuthenticationDelay = .milliseconds(50)
        configuration.rotation.jitter = 0
        // A message that the platform does not answer keeps a shutdown waiting.
        configuration.timeouts.drain = .milliseconds(500)
        return configuration
    }

    /// A client that knows nothing of the platform.
    func stranger(
        version: MQTTVersion = .v5_0, _ credentials: (any MQTTCredentialProvider)? = nil
    ) -> MQTTClientConfiguration {
        var configuration = here(MQTTClientConfiguration(host: "localhost", port: port))
        configuration.clientID = "stranger"
        configuration.version = version
        configuration.credentials = credentials
        return configuration
    }

    /// Runs a client until the platform has refused something, and returns the reason.
    func reason(
        of configuration: MQTTClientConfiguration,
        _ body: @escaping @Sendable (MQTTClient) async throws -> Void = { _ in }
    ) async throws -> String? {
        let before = platformRefusals.count
        // A second refusal could be told after the end of this client, to the next one.
        var configuration = configuration
        configuration.retry = .none
        let client = MQTTClient(configuration, logger: quiet)
        try await client.start()
        let task = Task { try? await body(client) }
        _ = await waitUntil { $0.platformRefusals.count > before }
        task.cancel()
        try? await client.shutdown()
        return platformRefusals.dropFirst(before).first
    }

    /// Connects, publishes a message, and receives it at this filter.
    func loop(
        _ configuration: MQTTClientConfiguration, filter: MQTTSubscription, topic: String
    ) async throws {
        let before = platformRefusals
        try await withMQTTClient(configuration, logger: quiet) { [self] client in
            try await client.waitUntilConnected(timeout: .seconds(30))
            try await client.subscribe(to: filter) { messages in
                try await client.publish("21.5", to: topic)
                if filter.filter.matches(topic) {
                    #expect(await messages.first { _ in true }?.payloadString == "21.5")
                } else {
                    #expect(await waitUntil { $0.publishes.contains { $0.topic == topic } })
                }
            }
        }
        #expect(platformRefusals == before)
    }
}

/// Returns the code of the error that an operation throws.
func code(_ body: () async throws -> Void) async -> MQTTError.Code? {
    do {
        try await body()
        return nil
    } catch {
        return (error as? MQTTError)?.code
    }
}

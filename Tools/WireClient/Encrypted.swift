// SPDX-License-Identifier: Apache-2.0

import Mosquitto

extension WireClient {
    /// 08: TLS, with the suite's certificates.
    static let encrypted: [String: Program] = [
        "08-ssl-connect-no-auth": {
            try await run(encrypted($0, "08-ssl-connect-no-auth", MQTTTLSConfiguration(trust: authority)))
        },
        "08-ssl-connect-cert-auth": {
            let identity = MQTTTLSConfiguration.Identity.files(
                certificate: "../ssl/client.crt", key: "../ssl/client.key")
            try await run(
                encrypted($0, "08-ssl-connect-crt-auth", MQTTTLSConfiguration(trust: authority, identity: identity)))
        },
        "08-ssl-connect-cert-auth-enc": {
            let identity = MQTTTLSConfiguration.Identity.files(
                certificate: "../ssl/client-encrypted.crt", key: "../ssl/client-encrypted.key",
                passphrase: { "password" })
            try await run(
                encrypted($0, "08-ssl-connect-crt-auth-enc", MQTTTLSConfiguration(trust: authority, identity: identity))
            )
        },
        "08-ssl-fake-cacert": { port in
            let identity = MQTTTLSConfiguration.Identity.files(
                certificate: "../ssl/client.crt", key: "../ssl/client.key")
            let trust = MQTTTLSConfiguration.Trust.file("../ssl/test-fake-root-ca.crt")
            try await refuses(port, MQTTTLSConfiguration(trust: trust, identity: identity), .tlsVerification)
        },
        "08-ssl-bad-cacert": { _ in
            try await refuses(1, MQTTTLSConfiguration(trust: .file("this/file/doesnt/exist")), .tlsConfiguration)
        },
    ]

    private static let authority = MQTTTLSConfiguration.Trust.file("../ssl/test-root-ca.crt")

    private static func encrypted(_ port: Int, _ clientID: String, _ tls: MQTTTLSConfiguration)
        -> MQTTClientConfiguration
    {
        var configuration = configuration(port, clientID)
        configuration.tls = tls
        // The suite's certificates have no other name.
        configuration.tls?.acceptsCommonName = true
        return configuration
    }

    private static func refuses(_ port: Int, _ tls: MQTTTLSConfiguration, _ code: MQTTError.Code) async throws {
        var configuration = encrypted(port, "08-ssl", tls)
        configuration.connection.firstConnection = .failFast
        do {
            try await run(configuration)
        } catch let error as MQTTError where error.code == code {
            return
        }
        throw Unexpected("it connected")
    }
}

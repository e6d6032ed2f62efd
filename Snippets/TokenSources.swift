// SPDX-License-Identifier: Apache-2.0

// Sources of tokens: a program, an OAuth 2.0 issuer, a key of the device.

import Mosquitto
import MosquittoTokens

func configureTokens(_ configuration: inout MQTTClientConfiguration) {
    // snippet.program
    configuration.credentials = .command("/usr/libexec/get-token", ["--audience", "mqtt"], username: "kitchen")
    // snippet.end

    // snippet.oauth2
    configuration.credentials = .oauth2ClientCredentials(
        tokenURL: "https://issuer.example.com/oauth2/token", clientID: "kitchen",
        authentication: .basicFile("/var/run/secrets/client-secret"), scope: "mqtt", username: .claim("sub"))
    // snippet.end

    // snippet.signed
    configuration.credentials = .signed(
        .file("/etc/device/key.pem", .es256), keyID: "2026-11", subject: "device-1", audience: ["mqtt"],
        lifetime: .seconds(900))
    // snippet.end
}

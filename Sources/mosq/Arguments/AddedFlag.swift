// SPDX-License-Identifier: Apache-2.0

/// The flags with a value that `mosq` adds to those of mosquitto's commands 2.0.11. The value may look like a flag.
enum AddedFlag {
    static let withValue: Set<String> = [
        "--retry-limit", "--retry-base-delay", "--retry-max-delay", "--retry-reset-after", "--retry-seed",
        "--connect-timeout", "--endpoint", "--redirect", "--token-file", "--token-command", "--oauth2-token-url",
        "--oauth2-client-id", "--oauth2-client-secret-file", "--oauth2-scope", "--oauth2-cafile", "--jwt-key",
        "--jwt-algorithm", "--jwt-kid", "--jwt-claim", "--jwt-lifetime", "--token-refresh-at", "--tls-keylog",
        "--psk-file", "--retain-handling", "--tls-server-name", "--message-hex", "--pw-hex", "--will-payload-hex",
        "--ws-path", "--ws-header", "--ws-header-file", "--proxy-cafile", "--health-file",
    ]
}

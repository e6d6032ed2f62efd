// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Mosquitto

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The flags that select the source of the password, if it is not `-P`.
struct TokenOptions: ParsableArguments {
    @Option(
        name: .customLong("token-file"), parsing: .unconditional,
        help: "The password is this file's content, read anew for each connection.")
    var file: String?

    @Option(
        name: .customLong("token-command"), parsing: .unconditional,
        help: "The password is what this program prints. Split into words as a shell would, but run by none.")
    var command: String?

    @Option(
        name: .customLong("oauth2-token-url"), parsing: .unconditional,
        help: "The password is a token of this OAuth 2.0 endpoint (client credentials).")
    var oauth2URL: String?

    @Option(name: .customLong("oauth2-client-id"), parsing: .unconditional, help: "The client at the issuer.")
    var oauth2ClientID: String?

    @Option(
        name: .customLong("oauth2-client-secret-file"), parsing: .unconditional,
        help: "The file with the client's secret, read for each request.")
    var oauth2SecretFile: String?

    @Option(name: .customLong("oauth2-scope"), parsing: .unconditional, help: "The scopes, separated by spaces.")
    var oauth2Scope: String?

    @Option(
        name: .customLong("oauth2-cafile"), parsing: .unconditional,
        help: "The certificate authorities of the issuer. Default: the system's.")
    var oauth2AuthorityFile: String?

    @Option(
        name: .customLong("jwt-key"), parsing: .unconditional,
        help: "The password is a JWT that is signed with the key in this PEM file, or with the secret in it.")
    var jwtKey: String?

    @Option(
        name: .customLong("jwt-algorithm"), parsing: .unconditional,
        help: "ES256, ES384, RS256, PS256, EdDSA or HS256.")
    var jwtAlgorithm: String?

    @Option(name: .customLong("jwt-kid"), parsing: .unconditional, help: "The key's identifier in the token.")
    var jwtKeyID: String?

    @Option(
        name: .customLong("jwt-claim"), parsing: .unconditionalSingleValue,
        help:
            "NAME=VALUE, a claim of the token: JSON where VALUE is a list, an object, a number, true or false, else text. May be repeated."
    )
    var jwtClaims: [String] = []

    @Option(
        name: .customLong("jwt-lifetime"), parsing: .unconditional,
        help: "The life of the token in seconds. Default: 3600.")
    var jwtLifetime: Int?

    @Option(
        name: .customLong("token-refresh-at"), parsing: .unconditional,
        help: "Rotate the token at this fraction of its life. Default: 0.8.")
    var refreshAt: Double?

    /// Sets the source of the credentials.
    func apply(
        to configuration: inout MQTTClientConfiguration, username: String?, password: MQTTSecret?
    ) throws {
        let sources = [
            ("-P", password != nil), ("--token-file", file != nil), ("--token-command", command != nil),
            ("--oauth2-token-url", oauth2URL != nil), ("--jwt-key", jwtKey != nil),
        ].filter(\.1).map(\.0)
        if sources.count > 1 {
            throw CommandFailure(message: "\(sources[0]) and \(sources[1]) exclude each other.")
        }
        try checkParts()
        if let file {
            configuration.credentials = .file(file, username: username)
        } else if let issuer = try issuer(username) {
            configuration.credentials = issuer
        } else if username != nil || password != nil {
            configuration.credentials = .static(username: username, password: password)
        }
        if let refreshAt {
            guard sources.contains(where: { $0 != "-P" }) else {
                throw CommandFailure(message: "--token-refresh-at needs --token-file or another source of tokens.")
            }
            guard refreshAt > 0, refreshAt < 1 else {
                throw CommandFailure(message: "--token-refresh-at \(refreshAt) is not between 0 and 1.")
            }
            configuration.rotation.refreshAt = refreshAt
        }
    }

    /// Rejects a flag that would have no effect.
    private func checkParts() throws {
        let parts = [
            ("--oauth2-client-id", oauth2ClientID != nil, "--oauth2-token-url", oauth2URL),
            ("--oauth2-client-secret-file", oauth2SecretFile != nil, "--oauth2-token-url", oauth2URL),
            ("--oauth2-scope", oauth2Scope != nil, "--oauth2-token-url", oauth2URL),
            ("--oauth2-cafile", oauth2AuthorityFile != nil, "--oauth2-token-url", oauth2URL),
            ("--jwt-algorithm", jwtAlgorithm != nil, "--jwt-key", jwtKey),
            ("--jwt-kid", jwtKeyID != nil, "--jwt-key", jwtKey),
            ("--jwt-claim", !jwtClaims.isEmpty, "--jwt-key", jwtKey),
            ("--jwt-lifetime", jwtLifetime != nil, "--jwt-key", jwtKey),
        ]
        if let part = parts.first(where: { $0.1 && $0.3 == nil }) {
            throw CommandFailure(message: "\(part.0) needs \(part.2).")
        }
    }
}

extension TokenOptions: ReadableArguments {
    mutating func read(_ words: inout ArgumentReader) {
        file = words.text("--token-file")
        command = words.text("--token-command")
        oauth2URL = words.text("--oauth2-token-url")
        oauth2ClientID = words.text("--oauth2-client-id")
        oauth2SecretFile = words.text("--oauth2-client-secret-file")
        oauth2Scope = words.text("--oauth2-scope")
        oauth2AuthorityFile = words.text("--oauth2-cafile")
        jwtKey = words.text("--jwt-key")
        jwtAlgorithm = words.text("--jwt-algorithm")
        jwtKeyID = words.text("--jwt-kid")
        jwtClaims = words.texts("--jwt-claim")
        jwtLifetime = words.number("--jwt-lifetime")
        refreshAt = words.number("--token-refresh-at")
    }
}

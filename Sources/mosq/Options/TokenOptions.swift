import ArgumentParser
import FoundationEssentials
import Mosquitto
import MosquittoTokens

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
        let name: MQTTTokenUsername = username.map { .fixed($0) } ?? .none
        if let file {
            configuration.credentials = .file(file, username: username)
        } else if let command {
            let words = try ShellWords.split(command)
            guard let program = words.first else { throw CommandFailure(message: "--token-command is empty.") }
            configuration.credentials = .command(program, Array(words.dropFirst()), username: name)
        } else if let oauth2URL {
            configuration.credentials = try oauth2(oauth2URL, name)
        } else if let jwtKey {
            configuration.credentials = try signed(jwtKey, name)
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

    private func oauth2(_ url: String, _ username: MQTTTokenUsername) throws -> MQTTOAuth2Credentials {
        guard let oauth2ClientID, let oauth2SecretFile else {
            throw CommandFailure(
                message: "--oauth2-token-url needs --oauth2-client-id and --oauth2-client-secret-file.")
        }
        var credentials = MQTTOAuth2Credentials(
            tokenURL: url, clientID: oauth2ClientID, authentication: .basicFile(oauth2SecretFile), scope: oauth2Scope,
            username: username)
        if let oauth2AuthorityFile {
            guard FileManager.default.isReadableFile(atPath: oauth2AuthorityFile) else {
                throw CommandFailure(message: "--oauth2-cafile \(oauth2AuthorityFile) cannot be read.")
            }
            credentials.certificateAuthorities = oauth2AuthorityFile
        }
        return credentials
    }

    private func signed(_ path: String, _ username: MQTTTokenUsername) throws -> MQTTSignedCredentials {
        guard let algorithm = MQTTSigningKey.Algorithm(rawValue: jwtAlgorithm ?? "") else {
            let known = MQTTSigningKey.Algorithm.allCases.map(\.rawValue).joined(separator: ", ")
            throw CommandFailure(message: "--jwt-key needs --jwt-algorithm with one of \(known).")
        }
        let lifetime = jwtLifetime ?? 3_600
        guard (1...315_360_000).contains(lifetime) else {
            throw CommandFailure(message: "--jwt-lifetime \(lifetime) is not between one second and ten years.")
        }
        var claims: [String: MQTTTokenClaim] = [:]
        for text in jwtClaims {
            guard let equals = text.firstIndex(of: "="), equals > text.startIndex else {
                throw CommandFailure(message: "--jwt-claim \(text) is not NAME=VALUE.")
            }
            let name = String(text[..<equals])
            claims[name] = Self.value(of: name, String(text[text.index(after: equals)...]))
        }
        return MQTTSignedCredentials(
            key: .file(path, algorithm), keyID: jwtKeyID, lifetime: .seconds(lifetime), claims: claims,
            username: username)
    }

    /// RFC 7519, section 4.1: these claims are text or a list of texts, even if they look like numbers.
    private static func value(of name: String, _ text: String) -> MQTTTokenClaim {
        guard let value = try? JSONDecoder().decode(MQTTTokenClaim.self, from: Data(text.utf8)) else {
            return .string(text)
        }
        switch value {
        case .array, .object: return value
        case .string, .null: return .string(text)
        default: return ["iss", "sub", "aud", "jti"].contains(name) ? .string(text) : value
        }
    }
}

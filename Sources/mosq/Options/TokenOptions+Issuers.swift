// SPDX-License-Identifier: Apache-2.0

import Mosquitto

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

#if Tokens
import MosquittoTokens

extension TokenOptions {
    /// Returns the source of tokens that are not in a file; `nil` without its flags.
    func issuer(_ username: String?) throws -> (any MQTTCredentialProvider)? {
        let name: MQTTTokenUsername = username.map { .fixed($0) } ?? .none
        if let command {
            let words = try ShellWords.split(command)
            guard let program = words.first else { throw CommandFailure(message: "--token-command is empty.") }
            return MQTTCommandCredentials(program, Array(words.dropFirst()), username: name)
        }
        if let oauth2URL { return try oauth2(oauth2URL, name) }
        return try jwtKey.map { try signed($0, name) }
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
#else
extension TokenOptions {
    /// Throws for flags that need `MosquittoTokens`.
    func issuer(_ username: String?) throws -> (any MQTTCredentialProvider)? {
        let flags = [("--token-command", command), ("--oauth2-token-url", oauth2URL), ("--jwt-key", jwtKey)]
        guard let flag = flags.first(where: { $0.1 != nil })?.0 else { return nil }
        throw CommandFailure(message: "\(flag) needs a mosq that is built with the trait Tokens.")
    }
}
#endif

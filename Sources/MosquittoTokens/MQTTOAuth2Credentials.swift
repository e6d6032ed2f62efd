// SPDX-License-Identifier: Apache-2.0

public import AsyncHTTPClient
public import Mosquitto
import NIOCore
import NIOHTTP1
import NIOSSL

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Tokens of an OAuth 2.0 issuer, by the client credentials grant (RFC 6749, section 4.4).
///
/// A failure that only a person can correct is permanent: `invalid_client` and the like (section 5.2), a token URL that
/// is not HTTPS, an unusable key in memory. All other failures are transient: an issuer that is unreachable, untrusted
/// or too slow, or that answers 5xx, 429 or without a token. `Retry-After` is honored, in seconds or as a date, up to a
/// day.
///
/// The description, mirror and dump show no secret, no value of a parameter, and neither the query nor the user of the
/// token URL.
public struct MQTTOAuth2Credentials: MQTTCredentialProvider {
    /// The method by which the client proves its identity to the issuer.
    public enum Authentication: Sendable {
        /// `client_secret_basic` (RFC 6749, section 2.3.1): the secret in the Authorization header.
        case basic(MQTTSecret)
        /// `client_secret_post`: the secret in the body.
        case post(MQTTSecret)
        /// `private_key_jwt` (RFC 7523, section 2.2): a token signed with the client's key, valid for a minute.
        /// `audience` is the token URL unless the issuer wants another.
        case privateKey(MQTTSigningKey, keyID: String? = nil, audience: String? = nil)
        /// `client_secret_basic` with a secret that is read from a file for each request, less one trailing newline.
        case basicFile(String)
    }

    /// The token endpoint. HTTPS, or HTTP to this machine (`localhost`, 127.0.0.1, [::1]).
    public var tokenURL: String
    /// The client's name at the issuer.
    public var clientID: String
    /// The method by which the client proves its identity to the issuer.
    public var authentication: Authentication
    /// The scopes, separated by spaces. Default none: the issuer grants its default scopes.
    public var scope: String?
    /// The parameter `audience`, which some issuers want. Default none.
    public var audience: String?
    /// Further parameters of the request, such as `resource` (RFC 8707). They replace the grant's own of the same name.
    public var parameters: [String: String] = [:]
    /// The user name. Default none.
    public var username: MQTTTokenUsername = .none
    /// Time limit for the request and its answer together, at most an hour. Default 10 s; `MQTTTimeouts.credentials`
    /// is a limit too.
    public var timeout: Duration = .seconds(10)
    /// A PEM file with the certificate authorities of the issuer, which replaces all TLS settings of ``httpClient``.
    /// The file is read for each request, so that an authority can be replaced while the client runs. Default none.
    public var certificateAuthorities: String?
    /// True if a secret may be sent unencrypted over HTTP to another machine. Default `false`.
    public var allowsHTTP = false
    /// The HTTP client that sends the request. Default: a client shared by all sources. Set your own for a proxy or a
    /// client certificate, and call its `shutdown()` yourself. Your client must not follow redirections, which would
    /// send the secret elsewhere; the first redirection it follows is a permanent failure.
    public var httpClient: HTTPClient

    /// Maximum size of an issuer's answer in bytes.
    static let responseLimit = 1 << 20

    /// A source of tokens. Nothing is checked or sent until credentials are requested.
    public init(
        tokenURL: String, clientID: String, authentication: Authentication, scope: String? = nil,
        username: MQTTTokenUsername = .none, httpClient: HTTPClient = .oauth2
    ) {
        self.tokenURL = tokenURL
        self.clientID = clientID
        self.authentication = authentication
        self.scope = scope
        self.username = username
        self.httpClient = httpClient
    }

    /// "oauth2".
    public var source: String { "oauth2" }
    /// A token is used until it is due or refused.
    public var reuse: MQTTCredentialReuse { .untilRefresh }

    /// Asks the issuer once. Throws `MQTTCredentialError` if it fails, and `CancellationError` if the request is
    /// cancelled.
    public func credentials(for attempt: MQTTConnectAttempt) async throws -> MQTTCredentials {
        let endpoint = try endpoint()
        let (request, secrets) = try await request()
        let answer = try await withDeadline(timeout, orFailWith: "the issuer \(endpoint) took longer than \(timeout)") {
            try await send(request, to: endpoint)
        }
        let token = try answer.token(without: secrets)
        return try username.credentials(
            token.text, expiresAt: token.expiresIn.map { Date.now + $0 })
    }

    /// Returns the issuer's host and port, for messages. Throws if the client must not send it a secret.
    private func endpoint() throws(MQTTCredentialError) -> String {
        guard let url = URL(string: tokenURL), let scheme = url.scheme?.lowercased(), let host = url.host(),
            !host.isEmpty, ["http", "https"].contains(scheme)
        else { throw .permanent("the token URL is no http or https URL with a host") }
        let isHere = ["localhost", "127.0.0.1", "::1", "[::1]"].contains(host.lowercased())
        guard scheme == "https" || isHere || allowsHTTP else {
            throw .permanent("the token URL has to be https, since it is sent a secret")
        }
        return host + (url.port.map { ":\($0)" } ?? "")
    }

    private func send(_ request: HTTPClientRequest, to endpoint: String) async throws -> OAuth2Answer {
        do {
            // The caller's deadline covers the whole answer; the HTTP client's own would end with the head.
            let response = try await httpClient.execute(request, deadline: .distantFuture)
            if response.history.count > 1 {
                throw MQTTCredentialError.permanent(
                    "the HTTP client followed a redirection of the issuer \(endpoint); one that is sent secrets must not"
                )
            }
            let body = try await response.body.collect(upTo: Self.responseLimit)
            return OAuth2Answer(
                status: Int(response.status.code), retryAfter: response.headers.first(name: "retry-after"),
                body: Data(body.readableBytesView))
        } catch let error as MQTTCredentialError {
            throw error
        } catch is NIOTooManyBytesError {
            throw MQTTCredentialError.transient("the issuer's answer has more than \(Self.responseLimit) bytes")
        } catch {
            if Task.isCancelled { throw CancellationError() }
            // The error may contain the URL, and a URL may contain a secret.
            throw MQTTCredentialError.transient(
                "the issuer \(endpoint) could not be asked: \(OAuth2Answer.short(error))")
        }
    }

    // MARK: The request

    /// Returns the request, and its secrets, which no message may contain.
    private func request() async throws -> (HTTPClientRequest, secrets: [String]) {
        var request = HTTPClientRequest(url: tokenURL)
        request.method = .POST
        request.headers.add(name: "Content-Type", value: "application/x-www-form-urlencoded")
        request.headers.add(name: "Accept", value: "application/json")
        if let certificateAuthorities {
            request.tlsConfiguration = try await HTTPClient.trust(certificateAuthorities)
        }
        var form = OAuth2Form()
        form.add("grant_type", "client_credentials")
        if let scope { form.add("scope", scope) }
        if let audience { form.add("audience", audience) }
        var secrets: [String] = []
        switch authentication {
        case .basic(let secret): secrets = [secret.text]
        case .basicFile(let path): secrets = [try await SecretFile.text(path, "client secret")]
        case .post(let secret):
            secrets = [secret.text]
            form.add("client_id", clientID)
            form.add("client_secret", secret.text)
        case .privateKey(let key, let keyID, let audience):
            let assertion = try await assertion(key, keyID, audience)
            secrets = [assertion]
            form.add("client_id", clientID)
            form.add("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
            form.add("client_assertion", assertion)
        }
        switch authentication {
        case .basic, .basicFile:
            let header = OAuth2Form.basic(clientID, secrets[0])
            request.headers.add(name: "Authorization", value: header)
            // Issuers, and what is in front of them, quote headers too.
            secrets.append(String(header.drop { $0 != " " }.dropFirst()))
        case .post, .privateKey: break
        }
        for (name, value) in parameters.sorted(by: { $0.key < $1.key }) { form.add(name, value) }
        request.body = .bytes(ByteBuffer(string: form.encoded))
        return (request, secrets + secrets.map(OAuth2Form.encoded))
    }

    /// RFC 7523, section 3.
    private func assertion(_ key: MQTTSigningKey, _ keyID: String?, _ audience: String?) async throws -> String {
        let now = Int(Date.now.timeIntervalSince1970)
        let claims: [String: MQTTTokenClaim] = [
            "iss": .string(clientID), "sub": .string(clientID), "aud": .string(audience ?? tokenURL),
            "iat": .integer(now), "exp": .integer(now + 60), "jti": .string(UUID().uuidString),
        ]
        return try await key.sign(SignedClaims(claims: claims), keyID: keyID)
    }
}

extension MQTTOAuth2Credentials: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String { "MQTTOAuth2Credentials(\((try? endpoint()) ?? "no issuer"), client \(clientID))" }
    public var debugDescription: String { description }
    public var customMirror: Mirror {
        Mirror(
            self,
            children: [
                "issuer": (try? endpoint()) as Any, "clientID": clientID, "authentication": authentication,
                "scope": scope as Any, "audience": audience as Any, "parameters": parameters.keys.sorted(),
                "username": username, "timeout": timeout, "certificateAuthorities": certificateAuthorities as Any,
                "allowsHTTP": allowsHTTP,
            ])
    }
}

extension MQTTCredentialProvider where Self == MQTTOAuth2Credentials {
    /// Tokens of an OAuth 2.0 issuer, by the client credentials grant.
    ///
    /// - Parameters:
    ///   - tokenURL: The token endpoint. HTTPS, or HTTP to this machine.
    ///   - clientID: The client's name at the issuer.
    ///   - authentication: The method by which the client proves its identity to the issuer.
    ///   - scope: The scopes, separated by spaces.
    ///   - audience: The parameter `audience`, which some issuers want.
    ///   - parameters: Further parameters of the request.
    ///   - username: The user name.
    ///   - certificateAuthorities: A PEM file with the certificate authorities of the issuer, instead of the system's.
    ///   - timeout: The time limit for the whole request. Default 10 s.
    ///   - httpClient: One of yours that follows no redirection. Default: one that all share.
    public static func oauth2ClientCredentials(
        tokenURL: String, clientID: String, authentication: MQTTOAuth2Credentials.Authentication,
        scope: String? = nil, audience: String? = nil, parameters: [String: String] = [:],
        username: MQTTTokenUsername = .none, certificateAuthorities: String? = nil, timeout: Duration = .seconds(10),
        httpClient: HTTPClient = .oauth2
    ) -> MQTTOAuth2Credentials {
        var source = MQTTOAuth2Credentials(
            tokenURL: tokenURL, clientID: clientID, authentication: authentication, scope: scope, username: username,
            httpClient: httpClient)
        source.audience = audience
        source.parameters = parameters
        source.certificateAuthorities = certificateAuthorities
        source.timeout = timeout
        return source
    }
}

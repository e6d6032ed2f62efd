public import AsyncHTTPClient
import FoundationEssentials
public import Mosquitto
import NIOCore
import NIOHTTP1
import NIOSSL

/// Tokens of an OAuth 2.0 issuer, by the client credentials grant (RFC 6749, section 4.4).
public struct MQTTOAuth2Credentials: MQTTCredentialProvider {
    /// How the client proves to the issuer who it is.
    public enum Authentication: Sendable {
        /// `client_secret_basic` (RFC 6749, section 2.3.1): the secret in the Authorization header.
        case basic(MQTTSecret)
        /// `client_secret_post`: the secret in the body.
        case post(MQTTSecret)
        /// `private_key_jwt` (RFC 7523, section 2.2): a token signed with the client's key, valid for a minute. `audience` is
        /// the token URL unless the issuer wants another.
        case privateKey(MQTTSigningKey, keyID: String? = nil, audience: String? = nil)
        /// The same, with a secret that is read from a file for each request, less one trailing newline.
        case basicFile(String)
    }

    /// The token endpoint. HTTPS, or HTTP to this machine.
    public var tokenURL: String
    public var clientID: String
    public var authentication: Authentication
    /// The scopes, separated by spaces.
    public var scope: String?
    /// The parameter `audience`, which some issuers want.
    public var audience: String?
    /// Further parameters of the request.
    public var parameters: [String: String] = [:]
    /// The user name. Default none.
    public var username: MQTTTokenUsername = .none
    /// For the whole request, an hour at most. Default 10 s; ``MQTTTimeouts/credentials`` bounds it too.
    public var timeout: Duration = .seconds(10)
    /// Who makes the request: `HTTPClient.oauth2(certificateAuthorities:)` for a private authority, or one of your own for a
    /// proxy; it should follow no redirections. Default: one for the whole process.
    public var httpClient: HTTPClient

    /// What an issuer may answer.
    private static let responseLimit = 1 << 20

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

    public var source: String { "oauth2" }
    public var reuse: MQTTCredentialReuse { .untilRefresh }

    public func credentials(for attempt: MQTTConnectAttempt) async throws -> MQTTCredentials {
        let request = try await request()
        let limit = TimeAmount.milliseconds(
            Int64(min(max(timeout, .milliseconds(1)), .seconds(3_600)) / .milliseconds(1)))
        let response: HTTPClientResponse
        let body: ByteBuffer
        do {
            response = try await httpClient.execute(request, timeout: limit)
            body = try await response.body.collect(upTo: Self.responseLimit)
        } catch is CancellationError {
            throw CancellationError()
        } catch is NIOTooManyBytesError {
            throw MQTTCredentialError.transient("the issuer's answer has more than \(Self.responseLimit) bytes")
        } catch {
            // The error may name the URL, and a URL may have a secret in it.
            throw MQTTCredentialError.transient("the issuer could not be asked: \(OAuth2Answer.short(error))")
        }
        let answer = OAuth2Answer(
            status: Int(response.status.code), retryAfter: response.headers.first(name: "retry-after"),
            body: Data(body.readableBytesView))
        let token = try answer.token()
        return try username.credentials(
            token.text, expiresAt: token.expiresIn.map { Date.now + $0 })
    }

    private func request() async throws -> HTTPClientRequest {
        guard let url = URL(string: tokenURL), let scheme = url.scheme?.lowercased(), let host = url.host() else {
            throw MQTTCredentialError.permanent("the token URL is none")
        }
        guard scheme == "https" || scheme == "http" && ["localhost", "127.0.0.1", "::1", "[::1]"].contains(host) else {
            throw MQTTCredentialError.permanent("the token URL has to be https, since it is sent a secret")
        }
        var request = HTTPClientRequest(url: tokenURL)
        request.method = .POST
        request.headers.add(name: "Content-Type", value: "application/x-www-form-urlencoded")
        request.headers.add(name: "Accept", value: "application/json")
        var form: [(String, String)] = [("grant_type", "client_credentials")]
        if let scope { form.append(("scope", scope)) }
        if let audience { form.append(("audience", audience)) }
        switch authentication {
        case .basic(let secret):
            request.headers.add(name: "Authorization", value: basic(secret.text))
        case .basicFile(let path):
            guard let data = FileManager.default.contents(atPath: path), data.count <= 65_536 else {
                throw MQTTCredentialError.transient("the file \"\(path)\" of the client secret cannot be read")
            }
            let text = String(decoding: data, as: UTF8.self)
            request.headers.add(
                name: "Authorization", value: basic(text.hasSuffix("\n") ? String(text.dropLast()) : text))
        case .post(let secret):
            form += [("client_id", clientID), ("client_secret", secret.text)]
        case .privateKey(let key, let keyID, let audience):
            let now = Int(Date.now.timeIntervalSince1970)
            let claims: [String: MQTTTokenClaim] = [
                "iss": .string(clientID), "sub": .string(clientID), "aud": .string(audience ?? tokenURL),
                "iat": .integer(now), "exp": .integer(now + 60), "jti": .string(UUID().uuidString),
            ]
            form += [
                ("client_id", clientID),
                ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
                ("client_assertion", try await key.sign(SignedClaims(claims: claims), keyID: keyID)),
            ]
        }
        form += parameters.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
        let body = form.map { Self.encoded($0) + "=" + Self.encoded($1) }.joined(separator: "&")
        request.body = .bytes(ByteBuffer(string: body))
        return request
    }

    /// RFC 6749, section 2.3.1: both are form-encoded before they are joined.
    private func basic(_ secret: String) -> String {
        "Basic " + Data((Self.encoded(clientID) + ":" + Self.encoded(secret)).utf8).base64EncodedString()
    }

    /// `application/x-www-form-urlencoded`.
    static func encoded(_ text: String) -> String {
        let digits = Array("0123456789ABCDEF".utf8)
        var bytes: [UInt8] = []
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "*"):
                bytes.append(byte)
            case UInt8(ascii: " "): bytes.append(UInt8(ascii: "+"))
            default: bytes += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

extension HTTPClient {
    /// The client of ``MQTTOAuth2Credentials``: it trusts the system's certificate authorities and follows no redirection, which
    /// would take a secret elsewhere.
    public static let oauth2 = HTTPClient(eventLoopGroupProvider: .singleton, configuration: oauth2Configuration)

    /// The same for an issuer with a private certificate authority: trusts those in this PEM file, and no others. It is yours
    /// to `shutdown()`.
    public static func oauth2(certificateAuthorities path: String) throws(MQTTCredentialError) -> HTTPClient {
        var configuration = oauth2Configuration
        do {
            var tls = TLSConfiguration.makeClientConfiguration()
            tls.trustRoots = .certificates(try NIOSSLCertificate.fromPEMFile(path))
            configuration.tlsConfiguration = tls
        } catch {
            throw .permanent("the certificate authority file \"\(path)\" cannot be used")
        }
        return HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
    }

    private static var oauth2Configuration: Configuration {
        var configuration = Configuration()
        configuration.redirectConfiguration = .disallow
        return configuration
    }
}

extension MQTTCredentialProvider where Self == MQTTOAuth2Credentials {
    /// Tokens of an OAuth 2.0 issuer, by the client credentials grant.
    public static func oauth2ClientCredentials(
        tokenURL: String, clientID: String, authentication: MQTTOAuth2Credentials.Authentication,
        scope: String? = nil, username: MQTTTokenUsername = .none, httpClient: HTTPClient = .oauth2
    ) -> MQTTOAuth2Credentials {
        MQTTOAuth2Credentials(
            tokenURL: tokenURL, clientID: clientID, authentication: authentication, scope: scope, username: username,
            httpClient: httpClient)
    }
}

// SPDX-License-Identifier: Apache-2.0

/// A token for a custom authorizer of AWS IoT Core that checks signatures.
public struct MQTTAWSAuthorizerToken: Sendable, Hashable {
    /// The name under which the authorizer expects the token (`token-key-name`).
    public var key: String
    /// The token.
    public var value: MQTTSecret
    /// The signature of the token in Base64, by the key that the authorizer knows.
    public var signature: MQTTSecret

    public init(key: String, value: MQTTSecret, signature: MQTTSecret) {
        self.key = key
        self.value = value
        self.signature = signature
    }
}

/// The ways in which a client authenticates to AWS IoT Core.
public struct MQTTAWSIoTAuthentication: Sendable {
    enum Kind: Sendable {
        case certificate(MQTTTLSConfiguration.Identity, port: Int)
        case authorizer(AWSAuthorizerCredentials)
        case signature(MQTTWebSocketPreparation)
    }

    let kind: Kind

    /// A client certificate that AWS IoT knows.
    ///
    /// - Parameters:
    ///   - identity: the certificate and its key.
    ///   - port: 8883, the default, or 443, on which the client offers the protocol `x-amzn-mqtt-ca` by ALPN.
    public static func certificate(
        _ identity: MQTTTLSConfiguration.Identity, port: Int = 8883
    ) -> MQTTAWSIoTAuthentication {
        MQTTAWSIoTAuthentication(kind: .certificate(identity, port: port))
    }

    /// A custom authorizer, on port 443 with the protocol `mqtt` by ALPN.
    ///
    /// - Parameters:
    ///   - name: the name of the authorizer; `nil` for the default one of the account.
    ///   - credentials: the user name and the password that the authorizer receives.
    ///   - token: returns the signed token for this attempt; `nil` for an authorizer without signatures.
    public static func customAuthorizer(
        name: String?, credentials: any MQTTCredentialProvider,
        token: (@Sendable (MQTTConnectAttempt) async throws -> MQTTAWSAuthorizerToken)? = nil
    ) -> MQTTAWSIoTAuthentication {
        MQTTAWSIoTAuthentication(
            kind: .authorizer(AWSAuthorizerCredentials(base: credentials, name: name, token: token)))
    }

    /// The keys of an AWS identity, by a WebSocket whose URL is signed anew for each attempt; see
    /// ``MQTTWebSocketPreparation/awsSigV4(region:credentials:)``.
    public static func signatureV4(
        region: String, credentials: @escaping @Sendable (MQTTConnectAttempt) async throws -> MQTTAWSCredentials
    ) -> MQTTAWSIoTAuthentication {
        MQTTAWSIoTAuthentication(kind: .signature(.awsSigV4(region: region, credentials: credentials)))
    }
}

/// Credentials whose user name carries the parameters of a custom authorizer, as "Connecting to AWS IoT Core by using
/// custom authentication" describes: `USER?x-amz-customauthorizer-name=…&KEY=TOKEN&x-amz-customauthorizer-signature=…`.
struct AWSAuthorizerCredentials: MQTTCredentialProvider {
    let base: any MQTTCredentialProvider
    let name: String?
    let token: (@Sendable (MQTTConnectAttempt) async throws -> MQTTAWSAuthorizerToken)?

    var source: String { base.source }

    func credentials(for attempt: MQTTConnectAttempt) async throws -> MQTTCredentials {
        var credentials = try await base.credentials(for: attempt)
        var parameters: [String] = []
        if let name { parameters.append("x-amz-customauthorizer-name=" + PercentEncoding.encoded(name)) }
        if let token {
            let token = try await token(attempt)
            parameters.append(
                PercentEncoding.encoded(token.key) + "=" + PercentEncoding.encoded(token.value.text))
            parameters.append("x-amz-customauthorizer-signature=" + PercentEncoding.encoded(token.signature.text))
        }
        if parameters.isEmpty { return credentials }
        credentials.username = (credentials.username ?? "") + "?" + parameters.joined(separator: "&")
        return credentials
    }
}

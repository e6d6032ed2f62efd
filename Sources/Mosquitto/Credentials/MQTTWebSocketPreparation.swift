// SPDX-License-Identifier: Apache-2.0

/// The completion of the HTTP request of a WebSocket handshake, such as a token in a header or a signed URL.
///
/// The client runs it before **every** attempt, after the credential provider and with its credentials, under
/// ``MQTTTimeouts/credentials``. An error fails the attempt like one of the provider: throw an ``MQTTCredentialError``
/// to name the time of the next request, or to rule one out. If the server answers with 401 or 403, provider and
/// preparation are asked again, and the client retries at once.
public struct MQTTWebSocketPreparation: Sendable {
    private let body: @Sendable (inout MQTTWebSocketRequest, MQTTCredentials, MQTTConnectAttempt) async throws -> Void

    /// Creates a preparation from a closure. It runs off the event loop, for one attempt at a time.
    ///
    /// - Parameter body: completes the request, with the credentials of the provider, or with
    ///   ``MQTTCredentials/anonymous`` if there is none.
    public init(
        _ body:
            @escaping @Sendable (inout MQTTWebSocketRequest, MQTTCredentials, MQTTConnectAttempt) async throws -> Void
    ) {
        self.body = body
    }

    /// Returns the completed and checked request. Throws what the closure throws, and ``MQTTError/Code/credentials``
    /// for a request that cannot be sent.
    func prepare(
        _ request: MQTTWebSocketRequest, _ credentials: MQTTCredentials, _ attempt: MQTTConnectAttempt
    ) async throws -> MQTTWebSocketRequest {
        var request = request
        try await body(&request, credentials, attempt)
        if let flaw = request.flaw {
            throw MQTTError(.credentials, "the prepared WebSocket request cannot be sent: \(flaw)", phase: .credentials)
        }
        return request
    }

    /// A preparation by a closure.
    public static func closure(
        _ body:
            @escaping @Sendable (inout MQTTWebSocketRequest, MQTTCredentials, MQTTConnectAttempt) async throws -> Void
    ) -> MQTTWebSocketPreparation { MQTTWebSocketPreparation(body) }

    /// The password of the credentials, such as a JWT, as a bearer token in the header `Authorization` (RFC 6750,
    /// section 2.1). CONNECT has it too.
    public static func bearer() -> MQTTWebSocketPreparation {
        MQTTWebSocketPreparation { request, credentials, _ in
            guard let token = credentials.password else {
                throw MQTTCredentialError.transient("the credential provider has no password for the bearer token")
            }
            var value = Array("Bearer ".utf8)
            token.withBytes { value += $0 }
            defer { SecretBytes.cleanse(&value) }
            request.setHeader("Authorization", MQTTSecret(bytes: value))
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

/// A failed connection attempt or a lost connection, as passed to a retry policy.
public struct MQTTFailure: Sendable {
    /// The error.
    public var error: MQTTError
    /// The attempt's number: 1 is the first since the last established connection.
    public var attempt: Int
    /// True until the client has connected for the first time.
    public var isInitial: Bool
    /// Number of consecutive failures in which the credentials were rejected, including this one.
    public var consecutiveAuthenticationFailures: Int
    /// Number of consecutive failures with the same phase, code, reason code and HTTP status, including this one. A
    /// connection that lasted ``MQTTRetryPolicy/resetAfter`` resets the number.
    public var repetitions: Int
    /// True if the connection was lost after its token had expired, which may be the cause.
    public var hasExpired: Bool
    /// True if a publish, subscribe or unsubscribe was in progress that may have caused the broker to close the
    /// connection. The client isolates the operation, and fails it with ``MQTTError/Code/endsConnection`` after three
    /// closes with a reason code, or six without one. A policy that stops earlier lets one message stop the client.
    public var isOperationSuspected: Bool
    /// True if a credential provider, or a preparation of the WebSocket request, is configured.
    public var hasCredentials: Bool
    /// True if a client certificate is configured.
    public var hasClientCertificate: Bool
    /// True if ``MQTTProxy/authorization`` is configured.
    public var hasProxyAuthorization: Bool

    public init(
        error: MQTTError, attempt: Int, isInitial: Bool, consecutiveAuthenticationFailures: Int = 0,
        repetitions: Int = 1, hasExpired: Bool = false, isOperationSuspected: Bool = false,
        hasCredentials: Bool = false, hasClientCertificate: Bool = false, hasProxyAuthorization: Bool = false
    ) {
        self.error = error
        self.attempt = attempt
        self.isInitial = isInitial
        self.consecutiveAuthenticationFailures = consecutiveAuthenticationFailures
        self.repetitions = repetitions
        self.hasExpired = hasExpired
        self.isOperationSuspected = isOperationSuspected
        self.hasCredentials = hasCredentials
        self.hasClientCertificate = hasClientCertificate
        self.hasProxyAuthorization = hasProxyAuthorization
    }
}

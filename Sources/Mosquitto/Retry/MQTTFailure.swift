/// A failed attempt to connect, or the loss of a connection, as a retry policy sees it.
public struct MQTTFailure: Sendable {
    /// What happened.
    public var error: MQTTError
    /// The attempt's number: 1 is the first since the last established connection.
    public var attempt: Int
    /// Whether there has never been a connection yet.
    public var isInitial: Bool
    /// How many failures in a row were refusals of the credentials, this one included.
    public var consecutiveAuthenticationFailures: Int
    /// How many failures in a row were of this kind, this one included: same phase, code and reason code, with no connection in
    /// between that lasted ``MQTTRetryPolicy/resetAfter``.
    public var repetitions: Int
    /// Whether a connection was lost after its token had expired, which may be why.
    public var hasExpired: Bool
    /// True if a publish, subscribe or unsubscribe was under way over which the broker may have ended the connection. The client
    /// isolates the operation, and fails it with ``MQTTError/Code/endsConnection`` after three such ends. A policy that stops before
    /// lets one message end the client.
    public var isOperationSuspected: Bool
    /// Whether a credential provider is configured.
    public var hasCredentials: Bool
    /// Whether a client certificate is configured.
    public var hasClientCertificate: Bool

    public init(
        error: MQTTError, attempt: Int, isInitial: Bool, consecutiveAuthenticationFailures: Int = 0,
        repetitions: Int = 1, hasExpired: Bool = false, isOperationSuspected: Bool = false,
        hasCredentials: Bool = false, hasClientCertificate: Bool = false
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
    }
}

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

    public init(error: MQTTError, attempt: Int, isInitial: Bool, consecutiveAuthenticationFailures: Int = 0) {
        self.error = error
        self.attempt = attempt
        self.isInitial = isInitial
        self.consecutiveAuthenticationFailures = consecutiveAuthenticationFailures
    }
}

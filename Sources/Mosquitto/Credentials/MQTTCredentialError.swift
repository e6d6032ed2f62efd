/// What a credential provider throws to say more than that it failed.
///
/// Any other error counts as transient.
public struct MQTTCredentialError: Error, Sendable, CustomStringConvertible {
    /// What the failure means for the next question.
    public enum Kind: Sendable, Hashable {
        /// It may work later: not before this time has passed, if the issuer said so (HTTP `Retry-After`).
        case transient(retryAfter: Duration?)
        /// It will not work until somebody changes something, such as a client secret: the provider is not asked again.
        /// A connection that is up goes on for as long as its token lives.
        case permanent
    }

    public var kind: Kind
    /// One sentence for a person, without secrets: it goes into logs and events.
    public var message: String

    public init(_ kind: Kind, _ message: String) {
        self.kind = kind
        self.message = message
    }

    public static func transient(_ message: String, retryAfter: Duration? = nil) -> MQTTCredentialError {
        MQTTCredentialError(.transient(retryAfter: retryAfter), message)
    }

    public static func permanent(_ message: String) -> MQTTCredentialError {
        MQTTCredentialError(.permanent, message)
    }

    public var description: String { message }
}

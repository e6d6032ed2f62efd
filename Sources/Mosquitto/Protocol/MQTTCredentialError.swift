// SPDX-License-Identifier: Apache-2.0

/// An error that a credential provider throws to classify its failure.
///
/// Errors of any other type count as transient.
public struct MQTTCredentialError: Error, Sendable, CustomStringConvertible {
    /// The consequence of the failure for later requests.
    public enum Kind: Sendable, Hashable {
        /// A later request may succeed; if the issuer named a time (HTTP `Retry-After`), not before it has passed.
        case transient(retryAfter: Duration?)
        /// No request will succeed until somebody changes something, such as a client secret: the provider is not asked
        /// again. An established connection stays up for as long as its token is valid.
        case permanent
    }

    public var kind: Kind
    /// A human-readable sentence without secrets, for logs and events.
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

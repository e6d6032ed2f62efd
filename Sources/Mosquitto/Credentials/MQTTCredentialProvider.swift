// SPDX-License-Identifier: Apache-2.0

/// A provider of the credentials for each CONNECT.
///
/// The client asks the provider before **every** CONNECT, including the first, unless ``reuse`` says otherwise; again
/// before a token expires, to rotate it; and immediately after the broker has rejected the credentials. A client makes
/// one call at a time; a call that ignores its cancellation may still be running when the next one begins.
public protocol MQTTCredentialProvider: Sendable {
    /// Returns the credentials for this attempt.
    ///
    /// An error fails the attempt without dialling, unless the last token is still valid, and the client retries with
    /// backoff. Throw an ``MQTTCredentialError`` to name the time of the next request, or to rule one out. A call that
    /// takes longer than ``MQTTTimeouts/credentials`` is cancelled and counts as failed.
    func credentials(for attempt: MQTTConnectAttempt) async throws -> MQTTCredentials

    /// A name for events and logs, such as "file".
    var source: String { get }

    /// The reuse of credentials for later CONNECTs. Default ``MQTTCredentialReuse/never``: the provider is asked before
    /// every CONNECT.
    var reuse: MQTTCredentialReuse { get }
}

extension MQTTCredentialProvider {
    public var source: String { "provider" }
    public var reuse: MQTTCredentialReuse { .never }
}

/// The reuse of credentials for more than one CONNECT.
public enum MQTTCredentialReuse: Sendable, Hashable {
    /// The client asks the provider before every CONNECT: for credentials that are cheap to get and may have changed.
    case never
    /// The client asks the provider when a rotation is due and after the broker has rejected the credentials: for an
    /// issuer that should not be asked whenever a broker is unreachable. Credentials without a known expiry are not
    /// reused.
    case untilRefresh
}

/// The circumstances of a request for credentials.
public struct MQTTConnectAttempt: Sendable {
    /// The purpose of a request for credentials.
    public enum Purpose: Sendable, Hashable {
        /// The next CONNECT.
        case connect
        /// The CONNECT after the broker has rejected the last credentials: a cached token must not be returned again.
        case rejected
        /// The replacement of a token that is about to expire, while the connection is up.
        case rotation
    }

    /// The attempt's number: 1 is the first since the last established connection.
    public var number: Int
    /// True until the client has connected for the first time.
    public var isInitial: Bool
    /// The endpoint to which the credentials will be sent.
    public var endpoint: MQTTEndpoint
    /// The purpose of the request.
    public var purpose: Purpose
    /// The last failure since the last established connection.
    public var lastFailure: MQTTError?

    /// Creates an attempt for tests of a provider. A client creates its own.
    public init(
        number: Int = 1, isInitial: Bool = true, endpoint: MQTTEndpoint, purpose: Purpose = .connect,
        lastFailure: MQTTError? = nil
    ) {
        self.number = number
        self.isInitial = isInitial
        self.endpoint = endpoint
        self.purpose = purpose
        self.lastFailure = lastFailure
    }
}

/// Credentials that never change.
public struct MQTTStaticCredentials: MQTTCredentialProvider {
    private let credentials: MQTTCredentials

    public init(_ credentials: MQTTCredentials) { self.credentials = credentials }
    public init(username: String?, password: MQTTSecret?) {
        self.credentials = MQTTCredentials(username: username, password: password)
    }

    public func credentials(for attempt: MQTTConnectAttempt) async throws -> MQTTCredentials { credentials }
    public var source: String { "static" }
}

/// Credentials from a closure.
public struct MQTTClosureCredentials: MQTTCredentialProvider {
    private let closure: @Sendable (MQTTConnectAttempt) async throws -> MQTTCredentials

    public init(_ closure: @escaping @Sendable (MQTTConnectAttempt) async throws -> MQTTCredentials) {
        self.closure = closure
    }

    public func credentials(for attempt: MQTTConnectAttempt) async throws -> MQTTCredentials {
        try await closure(attempt)
    }
    public var source: String { "closure" }
}

extension MQTTCredentialProvider where Self == MQTTStaticCredentials {
    /// A user name and a password that never change.
    public static func `static`(username: String?, password: MQTTSecret?) -> MQTTStaticCredentials {
        MQTTStaticCredentials(username: username, password: password)
    }
}

extension MQTTCredentialProvider where Self == MQTTClosureCredentials {
    /// Credentials from a closure that is called before every CONNECT.
    public static func closure(
        _ closure: @escaping @Sendable (MQTTConnectAttempt) async throws -> MQTTCredentials
    ) -> MQTTClosureCredentials {
        MQTTClosureCredentials(closure)
    }
}

extension MQTTCredentialProvider where Self == MQTTFileCredentials {
    /// A token file, read again before every CONNECT.
    public static func file(_ path: String, username: String? = nil) -> MQTTFileCredentials {
        MQTTFileCredentials(path: path, username: username)
    }
}

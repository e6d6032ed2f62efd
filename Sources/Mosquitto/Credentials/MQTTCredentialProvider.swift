/// Gives the credentials of each CONNECT.
///
/// It is asked before **every** CONNECT, the first one included, unless it says otherwise by ``reuse``; again, before a token
/// expires, to rotate it; and at once when the broker says that it does not accept what was sent. One client asks one
/// question at a time; a call that does not heed its cancellation may still be going on when the next one is made.
public protocol MQTTCredentialProvider: Sendable {
    /// The credentials for this attempt.
    ///
    /// Throwing fails the attempt without dialling, unless the last token is still valid; it is retried with backoff. Throw an
    /// ``MQTTCredentialError`` to say when it may work again, or that it will not. A call that takes longer than
    /// ``MQTTTimeouts/credentials`` is cancelled and counts as failed.
    func credentials(for attempt: MQTTConnectAttempt) async throws -> MQTTCredentials

    /// A word for events and logs, such as "file".
    var source: String { get }

    /// Whether what it gave is used again, or it is asked before every CONNECT. Default ``MQTTCredentialReuse/never``.
    var reuse: MQTTCredentialReuse { get }
}

extension MQTTCredentialProvider {
    public var source: String { "provider" }
    public var reuse: MQTTCredentialReuse { .never }
}

/// Whether credentials are used for more than one CONNECT.
public enum MQTTCredentialReuse: Sendable, Hashable {
    /// The provider is asked before every CONNECT: for what is cheap to get, and may have changed.
    case never
    /// The provider is asked when a rotation is due, and when the broker refused what it gave: for an issuer that should
    /// not be asked whenever a broker cannot be reached. What has no known expiry is not used again.
    case untilRefresh
}

/// What a credential provider is told.
public struct MQTTConnectAttempt: Sendable {
    /// Why credentials are asked for.
    public enum Purpose: Sendable, Hashable {
        /// The next CONNECT.
        case connect
        /// The broker has just refused the last credentials: a cached token must not be given again.
        case rejected
        /// The current token is about to expire; the connection is up meanwhile.
        case rotation
    }

    /// The attempt's number: 1 is the first since the last established connection.
    public var number: Int
    /// Whether there has never been a connection yet.
    public var isInitial: Bool
    /// Where the credentials will be sent to.
    public var endpoint: MQTTEndpoint
    /// Why they are asked for.
    public var purpose: Purpose
    /// The last failure since the last established connection.
    public var lastFailure: MQTTError?

    /// For tests of a provider; a client makes its own.
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

/// Credentials from a closure of yours.
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
    /// Credentials from a closure, asked before every CONNECT.
    public static func closure(
        _ closure: @escaping @Sendable (MQTTConnectAttempt) async throws -> MQTTCredentials
    ) -> MQTTClosureCredentials {
        MQTTClosureCredentials(closure)
    }
}

extension MQTTCredentialProvider where Self == MQTTFileCredentials {
    /// A token file, read anew before every CONNECT.
    public static func file(_ path: String, username: String? = nil) -> MQTTFileCredentials {
        MQTTFileCredentials(path: path, username: username)
    }
}

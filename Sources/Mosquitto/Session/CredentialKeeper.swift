// SPDX-License-Identifier: Apache-2.0

/// Owns a client's credentials: those in use, those sent to the broker and rejected, and the request in progress. The
/// provider is called off the loop; everything else happens on the loop's thread.
struct CredentialKeeper {
    private let rotator: TokenRotator?
    private let authenticator: (any MQTTAuthenticator)?
    private let webSocket: MQTTWebSocketOptions
    private let timeout: Duration
    private let rotation: MQTTRotation
    /// The fraction of a token's lifetime after which it is replaced; `nil` for no replacement.
    private let refreshFraction: Double?
    private let refreshJitter: Double
    private var jitter: JitterGenerator

    private(set) var credentials = MQTTCredentials.anonymous
    /// The Authentication Data for the credentials.
    private var authenticationData: MQTTSecret?
    private var receivedAt = ContinuousClock.now
    private var lifetime: TokenLifetime?
    /// The credentials that were sent to the broker on this connection.
    private var shown: MQTTCredentials?
    private var rejected: MQTTCredentials?
    /// The prepared request of a WebSocket handshake for the credentials.
    private var request: MQTTWebSocketRequest?
    /// The request that the server has rejected.
    private var rejectedRequest: MQTTWebSocketRequest?

    /// True if the user demands the next request.
    var isDemanded = false
    /// The task that waits for the result of a request.
    var task: Task<Void, Never>?
    /// A counter, incremented by every request: the result of an earlier one is ignored.
    private var questionNumber = 0

    init(_ configuration: MQTTClientConfiguration) {
        rotator = configuration.credentials.map {
            TokenRotator(
                $0, timeout: configuration.timeouts.credentials, refreshAt: configuration.rotation.refreshAt)
        }
        authenticator = configuration.authenticator
        webSocket = configuration.webSocket
        timeout = configuration.timeouts.credentials
        rotation = configuration.rotation.method
        let refreshes = configuration.credentials != nil && configuration.rotation.method != .onNextConnect
        refreshFraction = refreshes ? configuration.rotation.refreshAt : nil
        refreshJitter = configuration.rotation.jitter
        jitter = JitterGenerator(seed: configuration.retry.seed)
    }

    /// The method of enhanced authentication.
    var method: String? { authenticator?.method }

    /// True if there is a provider, an authenticator or a preparation to ask for new credentials.
    var hasProvider: Bool { rotator != nil || authenticator != nil || webSocket.prepare != nil }

    // MARK: Request

    /// A request to the provider, the preparation of a WebSocket request, and the authenticator. It does not retain the
    /// client while it waits for them.
    struct Question: Sendable {
        let attempt: MQTTConnectAttempt
        fileprivate let number: Int
        fileprivate let rotator: TokenRotator?
        fileprivate let authenticator: (any MQTTAuthenticator)?
        fileprivate let webSocket: MQTTWebSocketOptions
        fileprivate let timeout: Duration
        fileprivate let refused: MQTTCredentials?
        fileprivate let isDemanded: Bool

        @concurrent
        func answer() async -> Answer {
            var given = TokenRotator.Given(
                token: .init(credentials: .anonymous, receivedAt: .now, lifetime: nil, usableAt: .now), isNew: false)
            if let rotator {
                switch await rotator.token(for: attempt, refused: refused, isDemanded: isDemanded) {
                case .failure(let error): return .failure(error)
                case .success(let answer): given = answer
                }
            }
            let credentials = given.token.credentials
            var request: MQTTWebSocketRequest?
            switch await prepared(with: credentials) {
            case .failure(let error): return .failure(error)
            case .success(let prepared): request = prepared
            }
            guard let authenticator else { return .success((given, nil, request)) }
            let data = await CredentialKeeper.authenticationData(within: timeout) {
                try await authenticator.begin(with: credentials)
            }
            return data.map { (given, $0, request) }
        }

        /// Returns the prepared request, `nil` without a preparation and for an endpoint without a WebSocket.
        private func prepared(with credentials: MQTTCredentials) async -> Result<MQTTWebSocketRequest?, MQTTError> {
            guard let preparation = webSocket.prepare, let request = webSocket.request(to: attempt.endpoint) else {
                return .success(nil)
            }
            let attempt = attempt
            let prepared = await within(timeout) { () -> Result<MQTTWebSocketRequest?, MQTTError> in
                do {
                    return .success(try await preparation.prepare(request, credentials, attempt))
                } catch {
                    return .failure(MQTTError.providerFailure(error, of: "preparation of the WebSocket request"))
                }
            }
            return prepared ?? .failure(MQTTError.providerOverdue(timeout, "preparation of the WebSocket request"))
        }
    }

    typealias Answer = Result<
        (given: TokenRotator.Given, data: [UInt8]?, request: MQTTWebSocketRequest?), MQTTError
    >

    /// The outcome of a request.
    enum Outcome {
        /// The result arrived too late.
        case none
        case failed(MQTTError)
        /// Credentials arrived.
        case arrived(Arrival, News)
    }

    struct Arrival: Hashable {
        /// True if the credentials are those in use, or those that were rejected.
        var isUnchanged: Bool
        /// True if unchanged credentials are not a failure yet.
        var isEarly: Bool
        /// The time until the credentials become valid.
        var usableIn: Duration
    }

    /// The facts to report to the user.
    enum News {
        case none
        case refreshed(MQTTCredentialsRefreshed)
        /// The provider failed, and its last credentials stay in use.
        case failed(MQTTError)
        /// The request continues; the closure returns its failure.
        case pending(@Sendable () async -> MQTTError?)
    }

    /// Begins a request, which replaces the previous one.
    mutating func ask(for attempt: MQTTConnectAttempt) -> Question {
        cancel()
        defer { isDemanded = false }
        return Question(
            attempt: attempt, number: questionNumber, rotator: rotator, authenticator: authenticator,
            webSocket: webSocket, timeout: timeout, refused: refused(for: attempt.purpose), isDemanded: isDemanded)
    }

    /// Ends the wait for a result. The request continues, for the next caller.
    mutating func cancel() {
        task?.cancel()
        task = nil
        questionNumber += 1
    }

    /// Cancels the request too, when the client has stopped, and releases all secrets: the client's owner may keep the
    /// client for long.
    mutating func stop() {
        cancel()
        rotator?.abandon()
        (credentials, authenticationData, shown, rejected) = (.anonymous, nil, nil, nil)
        (request, rejectedRequest) = (nil, nil)
    }

    /// Handles the result of a request.
    mutating func answered(_ answer: Answer, to question: Question, now: ContinuousClock.Instant) -> Outcome {
        guard question.number == questionNumber else { return .none }
        task = nil
        let isRotation = question.attempt.purpose == .rotation
        switch answer {
        case .failure(let error): return .failed(error)
        case .success((let given, let data, let request)):
            let token = given.token
            // Without a provider, only the authenticator and the preparation have something new.
            var isUnchanged = rotator != nil && token.credentials.areSame(as: isRotation ? credentials : rejected)
            if let rejectedRequest, !isRotation {
                isUnchanged = (isUnchanged || rotator == nil) && request == rejectedRequest
            }
            if !isUnchanged || !isRotation {
                self.request = request
                credentials = token.credentials
                authenticationData = data.map { MQTTSecret(bytes: $0) }
                receivedAt = token.receivedAt
                lifetime = token.lifetime
            }
            // A file that is renewed late, as by Kubernetes at 80 % of a token's lifetime, has nothing new at first.
            let isEarly = lifetime.map { !$0.hasPassed(Self.lateness, since: receivedAt, now: now) } ?? false
            let arrival = Arrival(
                isUnchanged: isUnchanged, isEarly: isEarly, usableIn: max(.zero, token.usableAt - now))
            return .arrived(arrival, news(of: given, isUnchanged: isUnchanged, now))
        }
    }

    /// The fraction of a token's lifetime after which the lack of a new one is a failure.
    private static let lateness = 0.9

    private func news(of given: TokenRotator.Given, isUnchanged: Bool, _ now: ContinuousClock.Instant) -> News {
        if let failure = given.failure { return .failed(failure) }
        if let laterFailure = given.laterFailure { return .pending(laterFailure) }
        guard given.isNew, !isUnchanged, let rotator else { return .none }
        let expiresIn = given.token.lifetime.map { max(.zero, $0.remaining - (now - given.token.receivedAt)) }
        return .refreshed(MQTTCredentialsRefreshed(expiresIn: expiresIn, source: rotator.source))
    }

    /// Returns the credentials that must not be the result of a request with this purpose.
    private func refused(for purpose: MQTTConnectAttempt.Purpose) -> MQTTCredentials? {
        // A broker that closes without a reason has not rejected the credentials, but fresh ones are requested anyway.
        rejected ?? (purpose == .rejected ? shown : nil)
    }

    /// Returns the time for which the provider must not be asked, if there are no credentials to connect with
    /// meanwhile.
    func wait(before purpose: MQTTConnectAttempt.Purpose) -> Duration {
        rotator?.wait(refused: refused(for: purpose)) ?? .zero
    }

    // MARK: The broker

    /// The part of a CONNECT that authenticates the client, and the request of a WebSocket handshake.
    struct Proof {
        var credentials: MQTTCredentials
        var authentication: (method: String, data: [UInt8]?)?
        var request: MQTTWebSocketRequest?
    }

    /// Returns the current credentials for a CONNECT to an endpoint, and records that they are sent.
    mutating func show(to endpoint: MQTTEndpoint) throws(MQTTError) -> Proof {
        shown = credentials
        let request = webSocket.prepare == nil ? webSocket.request(to: endpoint) : request
        if endpoint.webSocket != nil, request?.endpoint != endpoint {
            throw MQTTError(
                .credentials, "the WebSocket request was prepared for another endpoint", phase: .credentials)
        }
        let proof = Proof(
            credentials: authenticator?.connectCredentials(credentials) ?? credentials,
            authentication: authenticator.map { ($0.method, authenticationBytes) },
            request: endpoint.webSocket == nil ? nil : request)
        try proof.credentials.validate()
        return proof
    }

    /// Returns the current authentication for an AUTH packet, and records that it is sent. `nil` without an
    /// authenticator.
    mutating func reauthenticate() -> (method: String, data: [UInt8]?)? {
        guard let authenticator else { return nil }
        shown = credentials
        return (authenticator.method, authenticationBytes)
    }

    private var authenticationBytes: [UInt8]? { authenticationData?.withBytes { Array($0) } }

    /// Returns a closure that computes the response to a challenge, to be called off the loop. `nil` without an
    /// authenticator.
    func answer(to challenge: [UInt8]) -> (@Sendable () async -> Result<[UInt8]?, MQTTError>)? {
        guard let authenticator else { return nil }
        let (timeout, credentials) = (timeout, credentials)
        return {
            await Self.authenticationData(within: timeout) {
                try await authenticator.respond(to: challenge, with: credentials)
            }
        }
    }

    /// Records that the broker has accepted the credentials.
    mutating func accepted() {
        rejected = nil
        rejectedRequest = nil
    }

    /// Records that the broker has rejected the credentials it received.
    mutating func refused() {
        rejected = shown
        rejectedRequest = nil
    }

    /// Records that the server has rejected the request of the WebSocket handshake, which has the credentials if it was
    /// prepared with them.
    mutating func refusedRequest() {
        guard webSocket.prepare != nil else { return }
        rejected = shown
        rejectedRequest = request
    }

    // MARK: Time

    /// The time at which the token expires; `nil` if it is unknown.
    var expiry: ContinuousClock.Instant? { lifetime.map { receivedAt + $0.remaining } }

    /// Returns true if the token has expired.
    func hasExpired(now: ContinuousClock.Instant) -> Bool { lifetime?.hasEnded(since: receivedAt, now: now) ?? false }

    /// Returns true if a refusal on an established connection calls for new credentials: some brokers keep a connection
    /// whose token has expired, but refuse its operations from then on.
    func isRefreshed(after code: MQTTReasonCode, now: ContinuousClock.Instant) -> Bool {
        code == .notAuthorized && rotation != .onNextConnect && hasExpired(now: now)
    }

    /// Returns the time until the credentials in use must be replaced; `nil` if they need not be.
    mutating func refreshDelay(now: ContinuousClock.Instant) -> Duration? {
        guard let refreshFraction, let lifetime else { return nil }
        let delay = lifetime.refreshDelay(at: refreshFraction, jitter: refreshJitter, using: &jitter)
        // Part of the lifetime has passed since the receipt: after a slow handshake, or with credentials that served an
        // earlier connection.
        return delay.map { max(.seconds(0), $0 - (now - receivedAt)) }
    }

    // MARK: Authentication Data

    /// Returns the validated Authentication Data of an authenticator, within a time limit. Its errors are treated like
    /// those of a credential provider.
    private static func authenticationData(
        within timeout: Duration, _ make: @escaping @Sendable () async throws -> [UInt8]?
    ) async -> Result<[UInt8]?, MQTTError> {
        let made = await within(timeout) { () -> Result<[UInt8]?, MQTTError> in
            do { return .success(try await make()) } catch { return .failure(MQTTError.providerFailure(error)) }
        }
        guard let made else { return .failure(MQTTError.providerOverdue(timeout, "authenticator")) }
        if case .success(let data?) = made, data.count > 65_535 {
            return .failure(
                MQTTError(
                    .credentials, "the authentication data has \(data.count) bytes; at most 65535 are allowed",
                    phase: .credentials))
        }
        return made
    }
}

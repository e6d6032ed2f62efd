/// Owns a client's credentials: those in use, those the broker was shown and refused, and the question to the provider
/// that is under way. Reaches the provider off the loop; everything else happens on its thread.
struct CredentialKeeper {
    private let rotator: TokenRotator?
    private let authenticator: (any MQTTAuthenticator)?
    private let timeout: Duration
    private let rotation: MQTTRotation
    /// The fraction of a token's life after which it is replaced; `nil` if it never is.
    private let refreshFraction: Double?
    private let refreshJitter: Double
    private var jitter: JitterGenerator

    private(set) var credentials = MQTTCredentials.anonymous
    /// The Authentication Data that goes with them.
    private var authenticationData: [UInt8]?
    private var receivedAt = ContinuousClock.now
    private var lifetime: TokenLifetime?
    /// The credentials that the broker was shown on this connection.
    private var shown: MQTTCredentials?
    private var rejected: MQTTCredentials?

    /// True if the next question is the user's wish.
    var isDemanded = false
    /// Waits for the answer to a question.
    var task: Task<Void, Never>?
    /// Goes up with every question: an answer to an earlier one is ignored.
    private var questionNumber = 0

    init(_ configuration: MQTTClientConfiguration) {
        rotator = configuration.credentials.map {
            TokenRotator(
                $0, timeout: configuration.timeouts.credentials, refreshAt: configuration.refreshCredentialsAt)
        }
        authenticator = configuration.authenticator
        timeout = configuration.timeouts.credentials
        rotation = configuration.rotation
        let refreshes = configuration.credentials != nil && configuration.rotation != .onNextConnect
        refreshFraction = refreshes ? configuration.refreshCredentialsAt : nil
        refreshJitter = configuration.refreshJitter
        jitter = JitterGenerator(seed: configuration.retry.seed)
    }

    /// The method of enhanced authentication.
    var method: String? { authenticator?.method }

    /// True if there is somebody to ask for new credentials.
    var hasProvider: Bool { rotator != nil || authenticator != nil }

    // MARK: The question

    /// A question to the provider, and to the authenticator. Holds no reference to the client while they take their
    /// time.
    struct Question: Sendable {
        let attempt: MQTTConnectAttempt
        fileprivate let number: Int
        fileprivate let rotator: TokenRotator?
        fileprivate let authenticator: (any MQTTAuthenticator)?
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
            guard let authenticator else { return .success((given, nil)) }
            let credentials = given.token.credentials
            let data = await CredentialKeeper.authenticationData(within: timeout) {
                try await authenticator.begin(with: credentials)
            }
            return data.map { (given, $0) }
        }
    }

    typealias Answer = Result<(given: TokenRotator.Given, data: [UInt8]?), MQTTError>

    /// The meaning of an answer.
    enum Outcome {
        /// It came too late.
        case none
        case failed(MQTTError)
        /// Credentials are at hand.
        case arrived(Arrival, News)
    }

    struct Arrival: Hashable {
        /// True if they are those in use, or those that were refused.
        var isUnchanged: Bool
        /// True if that is nothing to worry about yet.
        var isEarly: Bool
        /// The time until they are valid.
        var usableIn: Duration
    }

    /// Facts for the user.
    enum News {
        case none
        case refreshed(MQTTCredentialsRefreshed)
        /// The provider has failed, and what it gave last has to do.
        case failed(MQTTError)
        /// The question goes on; its failure is heard of later.
        case pending(@Sendable () async -> MQTTError?)
    }

    /// Begins a question, which takes the place of the one before.
    mutating func ask(for attempt: MQTTConnectAttempt) -> Question {
        cancel()
        defer { isDemanded = false }
        return Question(
            attempt: attempt, number: questionNumber, rotator: rotator, authenticator: authenticator, timeout: timeout,
            refused: refused(for: attempt.purpose), isDemanded: isDemanded)
    }

    /// Ends the wait for an answer. The question itself goes on, for whoever asks next.
    mutating func cancel() {
        task?.cancel()
        task = nil
        questionNumber += 1
    }

    /// Ends the question too: the client has stopped.
    mutating func stop() {
        cancel()
        rotator?.abandon()
    }

    /// Takes the answer to a question.
    mutating func answered(_ answer: Answer, to question: Question, now: ContinuousClock.Instant) -> Outcome {
        guard question.number == questionNumber else { return .none }
        task = nil
        let isRotation = question.attempt.purpose == .rotation
        switch answer {
        case .failure(let error): return .failed(error)
        case .success((let given, let data)):
            let token = given.token
            // Without a provider, what is new comes from the authenticator.
            let isUnchanged = rotator != nil && token.credentials.areSame(as: isRotation ? credentials : rejected)
            if !isUnchanged || !isRotation {
                credentials = token.credentials
                authenticationData = data
                receivedAt = token.receivedAt
                lifetime = token.lifetime
            }
            // A file that is renewed late, as Kubernetes does at 80 % of a token's life, has nothing new at first.
            let isEarly = lifetime.map { !$0.hasPassed(Self.lateness, since: receivedAt, now: now) } ?? false
            let arrival = Arrival(
                isUnchanged: isUnchanged, isEarly: isEarly, usableIn: max(.zero, token.usableAt - now))
            return .arrived(arrival, news(of: given, isUnchanged: isUnchanged, now))
        }
    }

    /// The fraction of a token's life from which on it is a failure that there is no new one yet.
    private static let lateness = 0.9

    private func news(of given: TokenRotator.Given, isUnchanged: Bool, _ now: ContinuousClock.Instant) -> News {
        if let failure = given.failure { return .failed(failure) }
        if let laterFailure = given.laterFailure { return .pending(laterFailure) }
        guard given.isNew, !isUnchanged, let rotator else { return .none }
        let expiresIn = given.token.lifetime.map { max(.zero, $0.remaining - (now - given.token.receivedAt)) }
        return .refreshed(MQTTCredentialsRefreshed(expiresIn: expiresIn, source: rotator.source))
    }

    /// Credentials that a question for this purpose must not be answered with.
    private func refused(for purpose: MQTTConnectAttempt.Purpose) -> MQTTCredentials? {
        // A broker that closes without a word has not said that it refuses them; fresh ones are asked for all the same.
        rejected ?? (purpose == .rejected ? shown : nil)
    }

    /// Returns how long the provider is left alone, when there is nothing to connect with meanwhile.
    func wait(before purpose: MQTTConnectAttempt.Purpose) -> Duration {
        rotator?.wait(refused: refused(for: purpose)) ?? .zero
    }

    // MARK: The broker

    /// The part of a CONNECT that proves who the client is.
    struct Proof {
        var credentials: MQTTCredentials
        var authentication: (method: String, data: [UInt8]?)?
    }

    /// Shows the credentials at hand to the broker.
    mutating func show() throws(MQTTError) -> Proof {
        shown = credentials
        let proof = Proof(
            credentials: authenticator?.connectCredentials(credentials) ?? credentials,
            authentication: authenticator.map { ($0.method, authenticationData) })
        try proof.credentials.validate()
        return proof
    }

    /// Shows the credentials at hand in an AUTH packet. `nil` without an authenticator.
    mutating func reauthenticate() -> (method: String, data: [UInt8]?)? {
        guard let authenticator else { return nil }
        shown = credentials
        return (authenticator.method, authenticationData)
    }

    /// Returns the answer to a challenge of the broker, to be made off the loop. `nil` without an authenticator.
    func answer(to challenge: [UInt8]) -> (@Sendable () async -> Result<[UInt8]?, MQTTError>)? {
        guard let authenticator else { return nil }
        let (timeout, credentials) = (timeout, credentials)
        return {
            await Self.authenticationData(within: timeout) {
                try await authenticator.respond(to: challenge, with: credentials)
            }
        }
    }

    /// The broker has accepted the credentials.
    mutating func accepted() { rejected = nil }

    /// The broker has refused the credentials it was shown.
    mutating func refused() { rejected = shown }

    // MARK: Time

    /// Returns whether the token has ended.
    func hasExpired(now: ContinuousClock.Instant) -> Bool { lifetime?.hasEnded(since: receivedAt, now: now) ?? false }

    /// Returns whether a refusal on a connection that is up calls for new credentials: some brokers keep a connection
    /// whose token has expired, and refuse what is done on it from then on.
    func isRefreshed(after code: MQTTReasonCode, now: ContinuousClock.Instant) -> Bool {
        code == .notAuthorized && rotation != .onNextConnect && hasExpired(now: now)
    }

    /// Returns when the credentials in use are to be replaced; `nil` if they are not.
    mutating func refreshDelay(now: ContinuousClock.Instant) -> Duration? {
        guard let refreshFraction, let lifetime else { return nil }
        let delay = lifetime.refreshDelay(at: refreshFraction, jitter: refreshJitter, using: &jitter)
        // Part of the life has passed since the receipt: a slow handshake, or credentials that served an earlier
        // connection.
        return delay.map { max(.seconds(0), $0 - (now - receivedAt)) }
    }

    // MARK: Authentication Data

    /// Returns what an authenticator made in time, checked. Its own errors are those of a credential provider.
    private static func authenticationData(
        within timeout: Duration, _ make: @escaping @Sendable () async throws -> [UInt8]?
    ) async -> Result<[UInt8]?, MQTTError> {
        let made = await within(timeout) { () -> Result<[UInt8]?, MQTTError> in
            do { return .success(try await make()) } catch { return .failure(TokenRotator.failure(error)) }
        }
        guard let made else { return .failure(TokenRotator.overdue(timeout, "authenticator")) }
        if case .success(let data?) = made, data.count > 65_535 {
            return .failure(
                MQTTError(
                    .credentials, "the authentication data has \(data.count) bytes; at most 65535 are allowed",
                    phase: .credentials))
        }
        return made
    }
}

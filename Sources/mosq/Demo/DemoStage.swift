import FoundationEssentials
import Mosquitto
import MosquittoTesting
import Synchronization

/// The broker of a demo, and what can be done to it.
protocol DemoStage: Sendable {
    /// Where it will listen. Nothing does before ``open()``.
    var port: Int { get }
    /// The authority of its certificate.
    var authorityPEM: String { get }
    /// A remark for the user about the tokens of this broker, if there is one.
    var note: String? { get }

    func open() async throws
    /// Ends all connections and takes no new ones.
    func close() async
    /// Is back, with the sessions that it had.
    func reopen() async throws
    func stop() async
    /// Credentials that last this long, other ones at each call; refused if that is negative.
    func credentials(lifetime: Duration) -> MQTTCredentials
}

/// The scripted broker of MosquittoTesting, which checks tokens and throws clients out when theirs expire.
final class EmbeddedStage: DemoStage {
    let port: Int
    let note: String? = nil
    private let authority: TestCertificateAuthority
    private let issuer = TestTokenIssuer()
    private let broker = Mutex<ScriptedBroker?>(nil)

    init() throws {
        authority = try TestCertificateAuthority()
        port = try freePort()
    }

    var authorityPEM: String { authority.certificatePEM }

    func open() async throws {
        let started = try await ScriptedBroker.start(
            port: port, tls: try authority.serverIdentity(), authentication: .token(issuer, kickOnExpiry: true))
        started.recordPublishes = false
        broker.withLock { $0 = started }
    }

    func close() async {
        let broker = broker.withLock { $0 }
        broker?.setScript([.resetOnAccept])
        broker?.resetAll()
    }

    func reopen() async throws { broker.withLock { $0 }?.setScript([.serve]) }

    func stop() async { await broker.withLock { $0 }?.stop() }

    func credentials(lifetime: Duration) -> MQTTCredentials {
        MQTTCredentials(username: "dev1", password: MQTTSecret(issuer.token(lifetime: lifetime)))
    }
}

/// A real mosquitto. It knows passwords and no tokens, so each token is the password of a user of its own. It keeps its
/// sessions on disk while it is away.
final class MosquittoStage: DemoStage {
    let port: Int
    let note: String? = "(mosquitto has passwords in place of tokens, and throws nobody out whose time is over)"
    private let authority: TestCertificateAuthority
    private let passwords: [String]
    private let calls = Mutex(0)
    private let broker = Mutex<LocalMosquitto?>(nil)

    init() throws {
        authority = try TestCertificateAuthority()
        port = try freePort()
        let issuer = TestTokenIssuer()
        // More than there are attempts in the demo.
        passwords = (0..<64).map { _ in issuer.token(lifetime: .seconds(3_600)) }
    }

    var authorityPEM: String { authority.certificatePEM }

    func open() async throws {
        let started = try await LocalMosquitto.start(
            tls: try authority.serverIdentity(), extraConfiguration: "max_queued_messages 0", anonymous: false,
            users: Dictionary(uniqueKeysWithValues: passwords.enumerated().map { ("dev\($0)", $1) }), port: port,
            persistence: true)
        broker.withLock { $0 = started }
    }

    func close() async { await broker.withLock { $0 }?.terminate() }

    func reopen() async throws { try await broker.withLock { $0 }?.restart() }

    func stop() async { await broker.withLock { $0 }?.terminate() }

    func credentials(lifetime: Duration) -> MQTTCredentials {
        let number = calls.withLock { count in
            count += 1
            return count % passwords.count
        }
        return MQTTCredentials(
            username: "dev\(number)", password: lifetime > .zero ? MQTTSecret(passwords[number]) : "expired",
            expiresAt: Date(timeIntervalSinceNow: lifetime / .seconds(1)))
    }
}

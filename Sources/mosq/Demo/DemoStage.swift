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
    /// Whether it refuses tokens that are expired.
    var checksTokens: Bool { get }

    func open() async throws
    /// Ends all connections and takes no new ones.
    func close() async
    /// Is back, with the sessions that it had.
    func reopen() async throws
    func stop() async
    /// A token that lasts this long; negative for an expired one.
    func token(lifetime: Duration) -> String
}

/// The scripted broker of MosquittoTesting, which checks tokens and throws clients out when theirs expire.
final class EmbeddedStage: DemoStage {
    let port: Int
    let checksTokens = true
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

    func token(lifetime: Duration) -> String { issuer.token(lifetime: lifetime) }
}

/// A real mosquitto, which takes any password. It keeps its sessions on disk while it is away.
final class MosquittoStage: DemoStage {
    let port: Int
    let checksTokens = false
    private let authority: TestCertificateAuthority
    private let issuer = TestTokenIssuer()
    private let broker = Mutex<LocalMosquitto?>(nil)

    init() throws {
        authority = try TestCertificateAuthority()
        port = try freePort()
    }

    var authorityPEM: String { authority.certificatePEM }

    func open() async throws {
        let started = try await LocalMosquitto.start(
            tls: try authority.serverIdentity(), extraConfiguration: "max_queued_messages 0", port: port,
            persistence: true)
        broker.withLock { $0 = started }
    }

    func close() async { await broker.withLock { $0 }?.terminate() }

    func reopen() async throws { try await broker.withLock { $0 }?.restart() }

    func stop() async { await broker.withLock { $0 }?.terminate() }

    func token(lifetime: Duration) -> String { issuer.token(lifetime: lifetime) }
}

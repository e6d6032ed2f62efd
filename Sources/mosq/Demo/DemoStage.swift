// SPDX-License-Identifier: Apache-2.0

#if Testing
import Mosquitto
import MosquittoTesting
import Synchronization

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The broker of a demo and the operations on it.
protocol DemoStage: Sendable {
    /// The port on which the broker listens after ``open()``.
    var port: Int { get }
    /// The authority of its certificate.
    var authorityPEM: String { get }
    /// A remark for the user about the tokens of this broker, if there is one.
    var note: String? { get }

    func open() async throws
    /// Ends all connections and accepts no new ones.
    func close() async
    /// Starts the broker again, with its previous sessions.
    func reopen() async throws
    func stop() async
    /// Returns new credentials with this lifetime; the broker refuses them if the lifetime is negative.
    func credentials(lifetime: Duration) -> MQTTCredentials
}

/// The scripted broker of MosquittoTesting, which checks tokens and disconnects clients whose tokens expire.
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

/// A real mosquitto. It supports passwords but not tokens, so each token is the password of a separate user. It keeps
/// its sessions on disk while it is stopped.
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
        // More than the number of attempts in the demo.
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
#endif

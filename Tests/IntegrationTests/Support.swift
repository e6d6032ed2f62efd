// SPDX-License-Identifier: Apache-2.0

import Foundation
import Logging
import Mosquitto
import MosquittoTesting
import Synchronization

let quiet: Logger = {
    var logger = Logger(label: "test")
    logger.logLevel = .critical
    return logger
}()

/// A real mosquitto, and a configuration that connects to it.
final class Broker: Sendable {
    let mosquitto: LocalMosquitto
    let authority: TestCertificateAuthority
    let wire: Wire
    /// mosquitto 2.0.11 does not start with listeners for WebSockets alone.
    private let socket: String

    /// - Parameter extraConfiguration: Options of the listener, and of the broker.
    static func start(
        _ wire: Wire = .tls, extraConfiguration: String = "", persistence: Bool = false
    ) async throws -> Broker {
        let authority = try TestCertificateAuthority()
        let socket = NSTemporaryDirectory() + "mosquitto-\(UInt64.random(in: 0 ... .max)).sock"
        let webSockets = wire.isWebSocket ? "protocol websockets\n\(extraConfiguration)\nlistener 0 \(socket)" : nil
        let mosquitto = try await LocalMosquitto.start(
            tls: wire.isSecure ? try authority.serverIdentity() : nil,
            extraConfiguration: webSockets ?? extraConfiguration, persistence: persistence)
        return Broker(mosquitto, authority, wire, socket)
    }

    private init(_ mosquitto: LocalMosquitto, _ authority: TestCertificateAuthority, _ wire: Wire, _ socket: String) {
        self.mosquitto = mosquitto
        self.authority = authority
        self.wire = wire
        self.socket = socket
    }

    deinit {
        mosquitto.kill()
        unlink(socket)
    }

    /// Runs `body` while a WebSocket is read without pauses, see ``withTicks(_:_:)``.
    func whileAwake<Result: Sendable>(_ body: @escaping @Sendable () async throws -> Result) async throws -> Result {
        guard wire.isWebSocket else { return try await body() }
        return try await withTicks(MQTTClientConfiguration(endpoints: [.unixSocket(socket)], tls: nil), body)
    }

    func configuration(version: MQTTVersion = .v5_0) -> MQTTClientConfiguration {
        var configuration = wire.configuration(port: mosquitto.port, authority: authority)
        configuration.version = version
        return configuration
    }
}

/// The received numbers, with the count of each.
final class Tally: Sendable {
    private let counts = Mutex<[Int: Int]>([:])

    func add(_ number: Int) { counts.withLock { $0[number, default: 0] += 1 } }
    var distinct: Int { counts.withLock { $0.count } }
    var duplicates: [Int] { counts.withLock { counts in counts.filter { $0.value > 1 }.keys.sorted() } }
    func missing(of range: Range<Int>) -> [Int] { counts.withLock { counts in range.filter { counts[$0] == nil } } }
}

/// The failed attempts of a client.
final class Failures: Sendable {
    private let failures = Mutex<[MQTTConnectionAttemptFailed]>([])

    init(_ client: MQTTClient) {
        let events = client.events()
        // Ends when the client ends.
        Task {
            for await event in events {
                if case .attemptFailed(let failed) = event.kind { failures.withLock { $0.append(failed) } }
            }
        }
    }

    var all: [MQTTConnectionAttemptFailed] { failures.withLock { $0 } }
    var statuses: [Int?] { all.map(\.error.httpStatus) }
    var decisions: [MQTTRetryPolicy.Decision] { all.map(\.decision) }
}

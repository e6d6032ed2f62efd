// SPDX-License-Identifier: Apache-2.0

import Logging
import Mosquitto
import MosquittoTesting
import Synchronization

let quiet: Logger = {
    var logger = Logger(label: "test")
    logger.logLevel = .critical
    return logger
}()

/// A real mosquitto with TLS, and a configuration that connects to it.
struct Broker {
    let mosquitto: LocalMosquitto
    let authority: TestCertificateAuthority

    static func start(extraConfiguration: String = "", persistence: Bool = false) async throws -> Broker {
        let authority = try TestCertificateAuthority()
        let mosquitto = try await LocalMosquitto.start(
            tls: try authority.serverIdentity(), extraConfiguration: extraConfiguration, persistence: persistence)
        return Broker(mosquitto: mosquitto, authority: authority)
    }

    func configuration(version: MQTTVersion = .v5_0) -> MQTTClientConfiguration {
        var configuration = MQTTClientConfiguration(
            host: "localhost", port: mosquitto.port, tls: .init(trust: .pem(authority.certificatePEM)))
        // For persistent sessions too.
        configuration.clientID = "test-\(UInt64.random(in: 0 ... .max))"
        configuration.version = version
        configuration.retry.baseDelay = .milliseconds(50)
        configuration.retry.maximumDelay = .milliseconds(500)
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

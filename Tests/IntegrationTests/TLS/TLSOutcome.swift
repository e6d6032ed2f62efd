// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Testing

/// The outcome of a first connection, in the details that the tests of TLS state.
enum TLSOutcome: Sendable, Hashable, CustomStringConvertible {
    struct Connection: Sendable, Hashable {
        var version: String
        var cipher: String
        var applicationProtocol: String?
        var isResumed = false
    }

    struct Failure: Sendable, Hashable {
        var code: MQTTError.Code
        var phase: MQTTError.Phase?
        var kind: MQTTTLSFailure.Kind?
        /// "ERROR at DEPTH, COMMON NAME of the certificate".
        var verification: String?
        /// "sent NAME" or "received NAME".
        var alert: String?
        /// OpenSSL's reason of a protocol error; the message of an error in the configuration, which names files, and
        /// of a connection that was closed for a reason other than TLS.
        var detail: String?
    }

    case connected(Connection)
    case failed(Failure)

    /// Runs a client until it has connected or failed. Messages name the files of `certificates` without their folder.
    static func of(_ configuration: MQTTClientConfiguration, _ certificates: Certificates) async -> TLSOutcome {
        var configuration = configuration
        configuration.connection.firstConnection = .failFast
        // Reports a server that does not answer as a separate failure.
        configuration.timeouts.attempt = .seconds(20)
        do {
            let info = try await withMQTTClient(configuration, logger: quiet) { client in
                try await client.waitUntilConnected()
            }
            return .connected(Connection(info))
        } catch let error as MQTTError {
            if let failure = error.tls { #expect(failure.remedy.hasSuffix("."), "no remedy: \(failure)") }
            var failure = Failure(error)
            failure.detail?.replace(certificates.directory.path + "/", with: "")
            return .failed(failure)
        } catch {
            return .failed(Failure(code: .system, detail: "\(error)"))
        }
    }

    var description: String {
        switch self {
        case .connected(let connection):
            [
                connection.version, connection.cipher, connection.applicationProtocol,
                connection.isResumed ? "resumed" : nil,
            ]
            .compactMap(\.self).joined(separator: " ")
        case .failed(let failure):
            [
                failure.code.name, failure.phase.map { "in \($0)" }, failure.kind.map { "\($0)" },
                failure.verification, failure.alert, failure.detail,
            ].compactMap(\.self).joined(separator: "; ")
        }
    }
}

extension TLSOutcome.Connection {
    init(_ info: MQTTConnectionInfo) {
        version = info.tls?.version ?? "plain"
        cipher = info.tls?.cipher ?? ""
        applicationProtocol = info.tls?.applicationProtocol
        isResumed = info.tls?.resumed ?? false
    }
}

extension TLSOutcome.Failure {
    init(_ error: MQTTError) {
        code = error.code
        phase = error.phase
        kind = error.tls?.kind
        verification = error.tls?.verification.map { verification in
            let name = verification.certificate?.subject.prefix { $0 != "," }
            return "\(verification.code) at \(verification.depth), \(name ?? "no certificate")"
        }
        alert = error.tls?.alert.map { ($0.received ? "received " : "sent ") + $0.name }
        switch kind {
        case .configuration: detail = error.message
        case .protocolError: detail = error.tls?.reason
        case nil where code == .closed: detail = error.message
        default: break
        }
    }
}

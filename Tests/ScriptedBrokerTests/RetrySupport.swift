// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The bytes of a broker's packets that a script does not generate.
enum BrokerBytes {
    /// CONNACK 0 of MQTT 5.0 and of 3.1.1.
    static func acceptance(_ version: MQTTVersion) -> [UInt8] {
        version == .v5_0 ? [0x20, 3, 0, 0, 0] : [0x20, 2, 0, 0]
    }

    /// A refusing CONNACK.
    static func refusal(_ code: UInt8, _ version: MQTTVersion = .v5_0, properties: [UInt8] = []) -> [UInt8] {
        if version == .v3_1_1 { return [0x20, 2, 0, code] }
        return [0x20, UInt8(3 + properties.count), 0, code, UInt8(properties.count)] + properties
    }

    /// MQTT 5.0, section 3.2.2.3.16: the property Server Reference.
    static func serverReference(_ text: String) -> [UInt8] {
        [0x1C, UInt8(text.utf8.count >> 8), UInt8(text.utf8.count & 0xFF)] + Array(text.utf8)
    }
}

/// Refuses the CONNECT and names another server.
func redirectingScript(_ code: UInt8, to reference: String) -> ConnectionScript {
    .reply(BrokerBytes.refusal(code, properties: BrokerBytes.serverReference(reference)), close: true)
}

/// Returns new credentials each time, and records its requests.
actor RecordingProvider: MQTTCredentialProvider {
    private(set) var asked: [MQTTConnectAttempt] = []

    func credentials(for attempt: MQTTConnectAttempt) async throws -> MQTTCredentials {
        asked.append(attempt)
        return MQTTCredentials(username: "dev1", password: MQTTSecret("token-\(asked.count)"))
    }

    var purposes: [MQTTConnectAttempt.Purpose] { asked.map(\.purpose) }
    var endpoints: [MQTTEndpoint] { asked.map(\.endpoint) }
}

extension EventLog {
    /// The established connections so far.
    var connections: [MQTTConnectionInfo] {
        events.compactMap { if case .connected(let info) = $0.kind { info } else { nil } }
    }

    /// The failures of the credential provider that cost nothing, so far.
    var credentialFailures: [MQTTCredentialsFailed] {
        events.compactMap { if case .credentialsFailed(let failed) = $0.kind { failed } else { nil } }
    }

    /// The attempts so far.
    var attempts: [MQTTConnectionAttemptStarted] {
        events.compactMap { if case .attemptStarted(let started) = $0.kind { started } else { nil } }
    }

    /// The seconds from the first event to the last one so far.
    var span: Double {
        guard let first = events.first, let last = events.last else { return 0 }
        return last.time.timeIntervalSince(first.time)
    }

    /// The `stopped` event, once the client has sent it.
    var stopped: MQTTConnectionEvent? {
        events.last { if case .stopped = $0.kind { true } else { false } }
    }

    /// The error that stopped the client.
    var terminalError: MQTTError? {
        if case .stopped(let error)? = stopped?.kind { error } else { nil }
    }

    /// The first event that violates the rules; `nil` if none does. Each attempt has one start and one end with its
    /// number and endpoint, a loss follows a connection, and nothing follows `stopped`.
    var violation: String? {
        var current: (number: Int, endpoint: MQTTEndpoint)?
        var isConnected = false
        var hasStopped = false
        for event in events {
            if hasStopped { return "\(event.kind.name) after stopped" }
            switch event.kind {
            case .attemptStarted(let started):
                if current != nil { return "attempt \(started.attempt) began before the last one had ended" }
                current = (started.attempt, started.endpoint)
                isConnected = false
            case .attemptFailed(let failed):
                guard let begun = current, begun == (failed.attempt, failed.endpoint) else {
                    return "attempt \(failed.attempt) at \(failed.endpoint) failed, but \(current as Any) had begun"
                }
                current = nil
            case .connected(let info):
                guard let begun = current, begun == (info.attempt, info.endpoint) else {
                    return "attempt \(info.attempt) at \(info.endpoint) connected, but \(current as Any) had begun"
                }
                current = nil
                isConnected = true
            case .disconnected:
                if !isConnected { return "disconnected without a connection" }
                isConnected = false
            case .stopped(let error):
                // A shutdown ends an attempt without a failure.
                if let current, error != nil { return "stopped, but attempt \(current.number) has no end" }
                hasStopped = true
            default: break
            }
        }
        return nil
    }

    /// The pause before each attempt that follows a failure, and what the failure announced.
    var pauses: [(announced: Duration, real: Duration)] {
        var result: [(Duration, Duration)] = []
        var last: (at: Date, delay: Duration)?
        for event in events {
            switch event.kind {
            case .attemptFailed(let failed): last = failed.retryIn.map { (event.time, $0) }
            case .attemptStarted:
                if let last { result.append((last.delay, .seconds(event.time.timeIntervalSince(last.at)))) }
                last = nil
            default: last = nil
            }
        }
        return result
    }
}

/// Runs a client until it stops by itself, and returns its error and its events.
func runUntilStopped(_ configuration: MQTTClientConfiguration) async throws -> (MQTTError?, EventLog) {
    try await withRunningClient(configuration) { _, log in
        _ = await log.wait { $0.stopped != nil }
        return (await log.terminalError, log)
    }
}

extension Task where Failure == any Error {
    /// The result. A test that exceeds its time limit is cancelled, and with it the task.
    var outcome: Result<Success, any Error> {
        get async {
            await withTaskCancellationHandler {
                await result
            } onCancel: {
                cancel()
            }
        }
    }
}

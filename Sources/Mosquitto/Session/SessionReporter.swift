// SPDX-License-Identifier: Apache-2.0

import Logging

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Reports the state of a connection to callers, event streams, log and metrics. Changes nothing else.
struct SessionReporter {
    private let shared: SharedState
    private let logger: Logger
    private let tls: MQTTTLSConfiguration?
    /// `nil` without a proxy with TLS, or if its settings are the default ones.
    private let proxyTLS: MQTTProxy.BoxedTLS?
    /// True until the first warning of credentials that are sent without TLS.
    private var mayWarnOfPlain: Bool
    private var observed = MQTTConnectionState.idle
    private(set) var lastError: MQTTError?
    private var digest = FailureDigest()

    init(_ shared: SharedState, logger: Logger, _ configuration: MQTTClientConfiguration) {
        self.shared = shared
        self.logger = logger
        tls = configuration.tls
        proxyTLS = configuration.connection.proxy.flatMap { $0.kind == .https ? $0.boxedTLS : nil }
        let hasSecrets =
            configuration.credentials != nil || configuration.authenticator != nil || configuration.webSocket.hasSecrets
            || configuration.endpoints.contains { $0.webSocket?.query != nil }
        mayWarnOfPlain = tls == nil && hasSecrets
    }

    private var metrics: ClientMetrics? { shared.metrics }

    /// Reports an event, after which the machine is in the given state.
    mutating func tell(_ kind: MQTTConnectionEvent.Kind, _ machine: SessionStateMachine) {
        switch kind {
        case .connected(let info): observed = .connected(info)
        case .attemptFailed(let failed):
            lastError = failed.error
            shared.attemptFailed(failed.error)
        case .disconnected(let disconnection):
            lastError = disconnection.error
            shared.connectionLost(disconnection.error)
        case .stopped(let error): observed = .stopped(error)
        default: break
        }
        if case .stopped = kind { shared.setState(observed) } else { tellState(machine) }
        log(kind)
        metrics?.happened(kind)
        shared.emit(MQTTConnectionEvent(time: Date.now, kind: kind))
    }

    /// Updates the state that callers see to that of the machine.
    func tellState(_ machine: SessionStateMachine) {
        let state: MQTTConnectionState =
            switch machine.state {
            case .idle: .idle
            case .fetching, .dialing: .connecting(attempt: machine.attempt)
            case .waiting: lastError.map { .waiting(lastError: $0) } ?? .connecting(attempt: machine.attempt)
            case .connected: observed
            // The last event reports the end.
            case .stopped: if case .stopped = observed { observed } else { .disconnecting }
            case .draining, .disconnecting: .disconnecting
            }
        metrics?.entered(state)
        shared.setState(state)
    }

    private mutating func log(_ kind: MQTTConnectionEvent.Kind) {
        switch kind {
        case .attemptStarted(let started):
            warnOfPlain(started.endpoint)
            logger.debug(
                "connecting", metadata: ["mqtt.endpoint": "\(started.endpoint)", "mqtt.attempt": "\(started.attempt)"])
        case .attemptFailed(let failed):
            var metadata = metadata(of: failed.error)
            metadata["mqtt.attempt"] = "\(failed.attempt)"
            metadata["mqtt.endpoint"] = "\(failed.endpoint)"
            metadata["mqtt.retry_in"] = failed.retryIn.map { "\($0.inMilliseconds)" }
            metadata["mqtt.redirected_to"] = failed.redirectedTo.map { "\($0)" }
            log(failed.error, metadata)
        case .connected(let info):
            var metadata: Logger.Metadata = [
                "mqtt.endpoint": "\(info.endpoint)", "mqtt.attempt": "\(info.attempt)",
                "mqtt.session_present": "\(info.sessionPresent)", "tls.version": "\(info.tls?.version ?? "none")",
            ]
            metadata["tls.group"] = info.tls?.group.map { "\($0)" }
            if let outage = digest.connected(now: .now) {
                metadata["mqtt.failures"] = "\(outage.failures)"
                metadata["mqtt.failing_for"] = "\(outage.duration.inMilliseconds)"
            }
            logger.info("connected", metadata: metadata)
            warnOfTLS()
        case .disconnected(let disconnection):
            var metadata = metadata(of: disconnection.error)
            metadata["mqtt.endpoint"] = "\(disconnection.endpoint)"
            metadata["mqtt.redirected_to"] = disconnection.redirectedTo.map { "\($0)" }
            metadata["mqtt.retry_in"] = disconnection.retryIn.map { "\($0.inMilliseconds)" }
            digest.disconnected(now: .now)
            logger.warning("disconnected", metadata: metadata)
        case .credentialsRefreshed(let refreshed):
            logger.debug("got credentials", metadata: ["mqtt.source": "\(refreshed.source)"])
        case .credentialsFailed(let failed):
            logger.warning("the credentials could not be refreshed", metadata: metadata(of: failed.error))
        case .credentialsRotated(let rotated):
            logger.info("rotated the credentials", metadata: ["mqtt.gap": "\(rotated.gap)"])
        case .resubscribed(let filters):
            logger.info("subscribed again", metadata: ["mqtt.filters": "\(filters)"])
        case .messagesUnsent(let unsent):
            logger.error("messages were not sent, or not acknowledged", metadata: ["mqtt.messages": "\(unsent.count)"])
        case .messagesDropped(let dropped):
            logger.warning(
                "messages of QoS 0 were dropped from the full queue", metadata: ["mqtt.messages": "\(dropped.count)"])
        case .subscriptionRefused(let refused):
            var metadata = metadata(of: refused.error)
            metadata["mqtt.filter"] = "\(refused.filter)"
            logger.error("the broker refused a filter after a reconnect", metadata: metadata)
        case .delayEnded(let ended):
            logger.info(
                "the network has changed, and the delay before the next attempt ends",
                metadata: ["mqtt.change": "\(ended.change)", "mqtt.retry_in": "\(ended.retryIn.inMilliseconds)"])
        case .stopped(let error?): logger.error("stopped", metadata: metadata(of: error))
        case .stopped(nil): logger.info("stopped")
        }
    }

    /// Logs a warning, once, for credentials that leave this machine without TLS.
    private mutating func warnOfPlain(_ endpoint: MQTTEndpoint) {
        guard mayWarnOfPlain, !endpoint.isLocal else { return }
        mayWarnOfPlain = false
        logger.warning(
            "credentials are sent without TLS: whoever is on the way can read them",
            metadata: ["mqtt.endpoint": "\(endpoint)"])
    }

    /// Logs a warning at each connection for settings that must not stay in production by accident.
    private func warnOfTLS() {
        if let tls {
            warn(of: tls, of: "broker", "whoever answered may read and change all messages")
        }
        if let proxyTLS {
            warn(of: proxyTLS.value, of: "proxy", "whoever answered may read the proxy's password")
        }
    }

    private func warn(of tls: MQTTTLSConfiguration, of peer: String, _ risk: String) {
        if let level = tls.lowSecurityLevel {
            logger.warning(
                "TLS: `ciphers` lowers the security level; keys that others can break are accepted",
                metadata: ["tls.security_level": "\(level)"])
        }
        if let file = tls.keyLogFile {
            logger.warning(
                "TLS: the connection's secrets are written to a file; whoever reads it can decrypt the connection",
                metadata: ["tls.key_log_file": "\(file)"])
        }
        guard tls.preSharedKey == nil else { return }
        switch tls.verification {
        case .none where tls.pins.isEmpty && tls.customVerification == nil:
            logger.warning("TLS: the \(peer)'s certificate is NOT verified; \(risk)")
        case .withoutHostName:
            logger.warning(
                "TLS: the \(peer)'s host name is NOT verified; any certificate of a trusted authority is accepted")
        case .full, .none: break
        }
    }

    /// Logs a failed attempt: a warning if it is news.
    private mutating func log(_ error: MQTTError, _ metadata: Logger.Metadata) {
        switch digest.verdict(on: error, now: .now) {
        case .tell:
            logger.warning("connecting failed", metadata: metadata)
        case .expected:
            logger.info("connecting failed", metadata: metadata)
        case .hold:
            logger.debug("connecting failed as before", metadata: metadata)
        case .summary(let count, let time):
            var metadata = metadata
            metadata["mqtt.failures"] = "\(count)"
            metadata["mqtt.failing_for"] = "\(time.inMilliseconds)"
            logger.warning("connecting still fails", metadata: metadata)
        }
    }

    private func metadata(of error: MQTTError) -> Logger.Metadata {
        var metadata: Logger.Metadata = ["error": "\(error)", "error.code": "\(error.code)"]
        metadata["mqtt.phase"] = error.phase.map { "\($0.rawValue)" }
        metadata["mqtt.reason_code"] = error.reasonCode.map { "\($0)" }
        metadata["http.response.status_code"] = error.httpStatus.map { "\($0)" }
        return metadata
    }
}

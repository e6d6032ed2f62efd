// SPDX-License-Identifier: Apache-2.0

extension MQTTRetryPolicy.Decision {
    /// The standard table: the decision for each failure. <doc:Retries> gives the reasons for each line.
    public static func standard(for failure: MQTTFailure) -> MQTTRetryPolicy.Decision {
        let error = failure.error
        if let reasonCode = error.reasonCode {
            return error.phase == .connected
                ? afterDisconnect(reasonCode, of: failure)
                : afterConnack(reasonCode)
        }
        switch error.code {
        case .notAuthorized:
            return .retryWithFreshCredentials
        case .upgradeRefused:
            return afterUpgrade(failure)
        case .proxy where error.phase == .upgrade:
            // The answer 407.
            return .retry(.slow)
        case .credentials:
            return error.isPermanent ? .stop : .retry(.authentication)
        case .dns:
            // A name can be missing while a machine boots. A name that stays missing is a configuration error.
            return .retry(failure.repetitions > 5 ? .slow : .standard)
        case .closed where error.phase == .connack && failure.repetitions == 3 && failure.hasCredentials:
            // An MQTT 3.1.1 broker may just close the connection after a CONNECT that it does not accept.
            return .retryWithFreshCredentials
        case .closed
        where [.upgrade, .connack].contains(error.phase) && failure.hasClientCertificate && failure.repetitions == 1:
            // In TLS 1.3 a client certificate is refused after the handshake; some brokers close without the alert.
            return .retryWithFreshCredentials
        case .tlsAlert where error.tls?.kind == .clientCertificate && failure.hasClientCertificate:
            return .retryWithFreshCredentials
        case .tlsVerification, .tlsAlert, .tlsProtocol, .system, .protocolViolation:
            return .retry(.slow)
        case .tlsConfiguration:
            // At the start this is a configuration error; later, a file may just be being replaced.
            return failure.isInitial ? .stop : .retry(.slow)
        case .proxy where error.tls != nil:
            // As for the broker: a certificate is renewed, or a trust corrected, by people.
            return .retry(.slow)
        case .proxy:
            return afterProxy(error.httpStatus, of: failure)
        case .library:
            return afterLibraryError(error.libraryCode)
        case .invalidConfiguration, .invalidTopic, .invalidTopicFilter, .invalidProperty, .payloadTooLarge,
            .unsupported, .stopped, .alreadyRunning, .cancelled:
            return .stop
        case .sessionTakenOver:
            // This is a suspicion. The other client cannot be informed; with slow retries each client stays connected
            // for some time.
            return .retry(.slow)
        default:
            return .retry(.standard)
        }
    }

    /// The decision after a proxy's refusal: the status of an HTTP proxy (RFC 9110, section 15), or `nil`.
    private static func afterProxy(_ status: Int?, of failure: MQTTFailure) -> MQTTRetryPolicy.Decision {
        switch status {
        case 407?, 401?:
            // Name and password never change by themselves.
            failure.hasProxyAuthorization ? .retryWithFreshCredentials : failure.isInitial ? .stop : .retry(.slow)
        case 400?, 404?, 405?, 501?:
            // A web server, or the wrong port: at the start a configuration error.
            failure.isInitial ? .stop : .retry(.slow)
        case 429?:
            .retry(.rateLimited)
        case .some(300...499):
            // Rules change slowly, and so does a captive portal.
            .retry(.slow)
        default:
            .retry(.standard)
        }
    }

    /// The decision after an answer to the WebSocket upgrade other than 101, 401, 403 and 407.
    private static func afterUpgrade(_ failure: MQTTFailure) -> MQTTRetryPolicy.Decision {
        guard let status = failure.error.httpStatus else { return .retry(.slow) }
        return switch status {
        // A captive portal, or a web server.
        case 200..<300, 511: .retry(.slow)
        case let status where MQTTWebSocketFailure.isRedirection(status): .redirect
        // At the start this is a configuration error; later, the server may just be being replaced.
        case 400, 404, 426, 501: failure.isInitial ? .stop : .retry(.slow)
        case 429: .retry(.rateLimited)
        case 503 where failure.error.webSocket?.retryAfter != nil: .retry(.rateLimited)
        // Request Timeout, Too Early.
        case 408, 425, 500..<600: .retry(.standard)
        default: .retry(.slow)
        }
    }

    /// The decision after a refusing CONNACK (MQTT 5.0, section 3.2.2.2; MQTT 3.1.1 codes are mapped to it).
    private static func afterConnack(_ code: MQTTReasonCode) -> MQTTRetryPolicy.Decision {
        switch code {
        case .badUserNameOrPassword, .notAuthorized:
            .retryWithFreshCredentials
        case .malformedPacket, .protocolError, .unsupportedProtocolVersion, .clientIdentifierNotValid, .banned,
            .badAuthenticationMethod, .topicNameInvalid, .packetTooLarge, .payloadFormatInvalid, .retainNotSupported,
            .qosNotSupported:
            .stop
        case .unspecifiedError, .serverUnavailable:
            .retry(.standard)
        case .useAnotherServer, .serverMoved:
            .redirect
        case .connectionRateExceeded:
            .retry(.rateLimited)
        default:
            .retry(.slow)
        }
    }

    /// The decision after a broker's DISCONNECT (MQTT 5.0, section 3.14.2.1). Repeated: the previous connection ended
    /// in the same way, and neither lasted.
    private static func afterDisconnect(
        _ code: MQTTReasonCode, of failure: MQTTFailure
    ) -> MQTTRetryPolicy.Decision {
        // An operation that causes the closes is failed soon, and the client carries on without it.
        let isRepeated = failure.repetitions > 1 && !failure.isOperationSuspected
        return switch code {
        case .administrativeAction where failure.hasExpired:
            // mosquitto's plugins can end a connection at its token's expiry in no other way.
            .retryWithFreshCredentials
        case .notAuthorized, .maximumConnectTime:
            // Brokers send these codes when a token expires (EMQX 0x87; 0xA0 for time-limited credentials).
            .retryWithFreshCredentials
        case .badAuthenticationMethod, .sessionTakenOver:
            // Two clients that share an identifier would take the session from each other for ever.
            .stop
        case .malformedPacket, .protocolError, .topicFilterInvalid, .topicNameInvalid, .packetTooLarge,
            .payloadFormatInvalid, .retainNotSupported, .qosNotSupported:
            // A single case may be caused by a proxy, or by an operation that has failed since; a repetition is an
            // error in the configuration or the program.
            isRepeated ? .stop : .retry(.standard)
        case .useAnotherServer, .serverMoved:
            .redirect
        case .administrativeAction, .serverBusy, .messageRateTooHigh, .quotaExceeded, .connectionRateExceeded:
            .retry(.slow)
        case .success, .sharedSubscriptionsNotSupported, .subscriptionIdentifiersNotSupported,
            .wildcardSubscriptionsNotSupported:
            .retry(isRepeated ? .slow : .standard)
        default:
            // Unknown codes are treated with caution.
            code.rawValue > MQTTReasonCode.wildcardSubscriptionsNotSupported.rawValue
                ? .retry(.slow) : .retry(.standard)
        }
    }

    private static func afterLibraryError(_ code: Int32?) -> MQTTRetryPolicy.Decision {
        switch code {
        // MOSQ_ERR_NOMEM: memory may become available again.
        case 1: .retry(.slow)
        // MOSQ_ERR_INVAL, MOSQ_ERR_MALFORMED_UTF8: the same packet would be refused again.
        case 3, 18: .stop
        default: .retry(.standard)
        }
    }
}

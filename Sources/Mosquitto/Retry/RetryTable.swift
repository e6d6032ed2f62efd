extension MQTTRetryPolicy.Decision {
    /// The standard table: from what happened to what to do. The reasons for each line are in `docs/retry.md`.
    public static func standard(for failure: MQTTFailure) -> MQTTRetryPolicy.Decision {
        let error = failure.error
        if let reasonCode = error.reasonCode {
            return error.phase == .connected ? afterDisconnect(reasonCode) : afterConnack(reasonCode)
        }
        switch error.code {
        case .notAuthorized: return .retryWithFreshCredentials
        case .credentials: return .retry(.authentication)
        case .tlsVerification, .tlsAlert, .tlsProtocol, .system: return .retry(.slow)
        case .protocolViolation: return .retry(.slow)
        case .tlsConfiguration:
            // A mistake at the start; later it may be a file that is just being replaced.
            return failure.isInitial ? .stop : .retry(.slow)
        case .invalidConfiguration, .invalidTopic, .invalidTopicFilter, .invalidProperty,
            .payloadTooLarge, .unsupported, .stopped, .alreadyRunning, .cancelled:
            return .stop
        default: return .retry(.standard)
        }
    }

    /// A refusing CONNACK (MQTT 5.0, section 3.2.2.2; 3.1.1 codes in that vocabulary).
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
        default:
            .retry(.slow)
        }
    }

    /// A broker's DISCONNECT (MQTT 5.0, section 3.14.2.1).
    private static func afterDisconnect(_ code: MQTTReasonCode) -> MQTTRetryPolicy.Decision {
        switch code {
        case .notAuthorized, .maximumConnectTime:
            // Brokers end a connection so when its token expires (EMQX 0x87, time-limited credentials 0xA0).
            .retryWithFreshCredentials
        case .badAuthenticationMethod, .sessionTakenOver:
            // Two clients that share an identifier would take the session from each other for ever.
            .stop
        case .administrativeAction, .serverBusy, .messageRateTooHigh, .quotaExceeded, .useAnotherServer, .serverMoved,
            .connectionRateExceeded:
            .retry(.slow)
        default:
            // What this library does not know is treated with caution.
            code.rawValue > MQTTReasonCode.wildcardSubscriptionsNotSupported.rawValue
                ? .retry(.slow) : .retry(.standard)
        }
    }
}

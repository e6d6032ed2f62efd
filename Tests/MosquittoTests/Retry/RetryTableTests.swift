import Testing

@testable import Mosquitto

@Suite struct `The standard retry table` {
    typealias Decision = MQTTRetryPolicy.Decision

    private func decision(_ error: MQTTError, isInitial: Bool = false) -> Decision {
        .standard(for: MQTTFailure(error: error, attempt: 1, isInitial: isInitial))
    }

    private func decision(_ code: MQTTReasonCode, in phase: MQTTError.Phase) -> Decision {
        var error = MQTTError(.refused, "refused", phase: phase)
        error.reasonCode = code
        return decision(error)
    }

    @Test(arguments: [
        (UInt8(1), Decision.stop), (2, .stop), (3, .retry(.standard)), (4, .retryWithFreshCredentials),
        (5, .retryWithFreshCredentials), (6, .retry(.slow)), (127, .retry(.slow)), (0x87, .retryWithFreshCredentials),
        (0xFF, .retry(.slow)),
    ])
    func `a CONNACK of MQTT 3.1.1`(code: UInt8, expected: Decision) {
        #expect(decision(MQTTConnectReturnCode.v3(code).reasonCode, in: .connack) == expected)
    }

    @Test(arguments: [
        (UInt8(0x80), Decision.retry(.standard)), (0x81, .stop), (0x82, .stop), (0x83, .retry(.slow)), (0x84, .stop),
        (0x85, .stop), (0x86, .retryWithFreshCredentials), (0x87, .retryWithFreshCredentials),
        (0x88, .retry(.standard)),
        (0x89, .retry(.slow)), (0x8A, .stop), (0x8C, .stop), (0x90, .stop), (0x95, .stop), (0x97, .retry(.slow)),
        (0x99, .stop), (0x9A, .stop), (0x9B, .stop), (0x9C, .retry(.slow)), (0x9D, .retry(.slow)),
        (0x9F, .retry(.slow)),
        (0xA3, .retry(.slow)), (0xFF, .retry(.slow)),
    ])
    func `a CONNACK of MQTT 5.0`(code: UInt8, expected: Decision) {
        #expect(decision(MQTTReasonCode(rawValue: code), in: .connack) == expected)
    }

    @Test(arguments: [
        (UInt8(0x00), Decision.retry(.standard)), (0x04, .retry(.standard)), (0x80, .retry(.standard)),
        (0x83, .retry(.standard)), (0x87, .retryWithFreshCredentials), (0x89, .retry(.slow)), (0x8B, .retry(.standard)),
        (0x8C, .stop), (0x8D, .retry(.standard)), (0x8E, .stop), (0x93, .retry(.standard)), (0x94, .retry(.standard)),
        (0x95, .retry(.standard)), (0x96, .retry(.slow)), (0x97, .retry(.slow)), (0x98, .retry(.slow)),
        (0x9C, .retry(.slow)), (0x9D, .retry(.slow)), (0x9F, .retry(.slow)), (0xA0, .retryWithFreshCredentials),
        (0xA3, .retry(.slow)), (0xFF, .retry(.slow)),
    ])
    func `a broker's DISCONNECT`(code: UInt8, expected: Decision) {
        #expect(decision(MQTTReasonCode(rawValue: code), in: .connected) == expected)
    }

    @Test(arguments: [
        (MQTTError.Code.dns, Decision.retry(.standard)), (.connectionRefused, .retry(.standard)),
        (.networkUnreachable, .retry(.standard)), (.timeout, .retry(.standard)), (.closed, .retry(.standard)),
        (.keepAliveTimeout, .retry(.standard)), (.library, .retry(.standard)), (.system, .retry(.slow)),
        (.tlsVerification, .retry(.slow)), (.tlsAlert, .retry(.slow)), (.tlsProtocol, .retry(.slow)),
        (.protocolViolation, .retry(.slow)), (.credentials, .retry(.authentication)),
        (.notAuthorized, .retryWithFreshCredentials), (.invalidConfiguration, .stop), (.unsupported, .stop),
    ])
    func `a failure without a reason code`(code: MQTTError.Code, expected: Decision) {
        #expect(decision(MQTTError(code, "failed")) == expected)
        #expect(decision(MQTTError(code, "failed"), isInitial: true) == expected)
    }

    @Test func `a TLS configuration that cannot be used is a mistake at the start, and a file being replaced later`() {
        #expect(decision(MQTTError(.tlsConfiguration, "no such file"), isInitial: true) == .stop)
        #expect(decision(MQTTError(.tlsConfiguration, "no such file")) == .retry(.slow))
    }

    @Test func `an error tells whether it is retried`() {
        #expect(MQTTError(.connectionRefused, "connection refused", phase: .connect).isRetryable)
        #expect(!MQTTError(.tlsConfiguration, "no such file", phase: .connect).isRetryable)
        #expect(!MQTTError(.invalidConfiguration, "bad").isRetryable)
        #expect(!MQTTError(.operationRefused, "refused", phase: .connected).isRetryable)
    }

    @Test func `failFast ends with the first failure until there has been a connection`() {
        let decide = MQTTRetryPolicy.failFast.decide
        #expect(decide(MQTTFailure(error: .refusedConnection, attempt: 1, isInitial: true)) == .stop)
        #expect(decide(MQTTFailure(error: .refusedConnection, attempt: 1, isInitial: false)) == .retry(.standard))
    }

    @Test func `none never tries again`() {
        #expect(
            MQTTRetryPolicy.none.decide(MQTTFailure(error: .refusedConnection, attempt: 1, isInitial: false)) == .stop)
    }
}

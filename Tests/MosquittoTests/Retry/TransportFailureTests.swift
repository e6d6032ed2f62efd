// SPDX-License-Identifier: Apache-2.0

import Testing
import Turns

@testable import Mosquitto

#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

@Suite(.turn(.units)) struct `The standard retry table, without a reason code` {
    typealias Decision = MQTTRetryPolicy.Decision

    private func decision(
        _ error: MQTTError, isInitial: Bool = false, repetitions: Int = 1, hasCredentials: Bool = false,
        hasClientCertificate: Bool = false
    ) -> Decision {
        .standard(
            for: MQTTFailure(
                error: error, attempt: 1, isInitial: isInitial, repetitions: repetitions,
                hasCredentials: hasCredentials, hasClientCertificate: hasClientCertificate))
    }

    @Test(arguments: [
        (MQTTError.Code.dns, Decision.retry(.standard)), (.connectionRefused, .retry(.standard)),
        (.networkUnreachable, .retry(.standard)), (.timeout, .retry(.standard)), (.closed, .retry(.standard)),
        (.keepAliveTimeout, .retry(.standard)), (.library, .retry(.standard)), (.system, .retry(.slow)),
        (.tlsVerification, .retry(.slow)), (.tlsAlert, .retry(.slow)), (.tlsProtocol, .retry(.slow)),
        (.protocolViolation, .retry(.slow)), (.credentials, .retry(.authentication)),
        (.notAuthorized, .retryWithFreshCredentials), (.sessionTakenOver, .retry(.slow)),
        (.invalidConfiguration, .stop),
        (.invalidTopic, .stop), (.invalidTopicFilter, .stop), (.invalidProperty, .stop), (.payloadTooLarge, .stop),
        (.unsupported, .stop), (.stopped, .stop), (.alreadyRunning, .stop), (.cancelled, .stop),
    ])
    func `a failure of each kind, at the start and later`(code: MQTTError.Code, expected: Decision) {
        for phase in MQTTError.Phase.allCases {
            let error = MQTTError(code, "failed", phase: phase)
            #expect(decision(error) == expected)
            #expect(decision(error, isInitial: true) == expected)
        }
    }

    @Test(arguments: [
        (ECONNREFUSED, Decision.retry(.standard)), (ECONNRESET, .retry(.standard)), (EPIPE, .retry(.standard)),
        (EHOSTUNREACH, .retry(.standard)), (ENETUNREACH, .retry(.standard)), (ENETDOWN, .retry(.standard)),
        (ETIMEDOUT, .retry(.standard)), (ENOENT, .retry(.standard)), (EACCES, .retry(.slow)), (EPERM, .retry(.slow)),
        (EMFILE, .retry(.slow)), (ENFILE, .retry(.slow)), (EADDRNOTAVAIL, .retry(.slow)),
    ])
    func `a connect that the system fails`(code: Int32, expected: Decision) {
        #expect(decision(MQTTError.connecting(code)) == expected)
    }

    @Test(arguments: [EACCES, EPERM, EMFILE, ENFILE, EADDRNOTAVAIL])
    func `what this machine lacks has a code of its own`(code: Int32) {
        #expect(MQTTError.connecting(code).code == .system)
        #expect(MQTTError.connecting(code).systemCode == code)
    }

    @Test func `a name that does not resolve is slow after the fifth time, and never ends the client`() {
        let error = MQTTError(.dns, "no such host", phase: .resolve)
        for repetitions in 1...5 { #expect(decision(error, repetitions: repetitions) == .retry(.standard)) }
        for repetitions in 6...50 { #expect(decision(error, repetitions: repetitions) == .retry(.slow)) }
    }

    // MARK: libmosquitto

    // 1 MOSQ_ERR_NOMEM, 3 INVAL, 14 ERRNO, 18 MALFORMED_UTF8.
    @Test(arguments: [
        (Int32(1), Decision.retry(.slow)), (3, .stop), (18, .stop), (14, .retry(.standard)), (99, .retry(.standard)),
    ])
    func `an error of libmosquitto`(code: Int32, expected: Decision) {
        var error = MQTTError(.library, "failed", phase: .connect)
        error.libraryCode = code
        #expect(decision(error) == expected)
    }

    // MARK: Closed before CONNACK

    @Test func `the third close before CONNACK asks for other credentials, and no other one does`() {
        let error = MQTTError(.closed, "closed", phase: .connack)
        for repetitions in 1...20 {
            let expected = repetitions == 3 ? Decision.retryWithFreshCredentials : .retry(.standard)
            #expect(decision(error, repetitions: repetitions, hasCredentials: true) == expected)
        }
    }

    @Test func `without credentials a close before CONNACK is just retried`() {
        let error = MQTTError(.closed, "closed", phase: .connack)
        for repetitions in 1...20 { #expect(decision(error, repetitions: repetitions) == .retry(.standard)) }
    }

    @Test(arguments: [MQTTError.Phase.connect, .tlsHandshake, .connected])
    func `a close in another phase says nothing of the credentials`(phase: MQTTError.Phase) {
        let error = MQTTError(.closed, "closed", phase: phase)
        #expect(
            decision(error, repetitions: 3, hasCredentials: true, hasClientCertificate: true) == .retry(.standard))
    }

    @Test func `the first close before CONNACK has the client certificate read again`() {
        let error = MQTTError(.closed, "closed", phase: .connack)
        #expect(decision(error, hasClientCertificate: true) == .retryWithFreshCredentials)
        #expect(decision(error, repetitions: 2, hasClientCertificate: true) == .retry(.standard))
    }

    // MARK: TLS

    private func alert(_ code: UInt8, received: Bool = true) -> MQTTError {
        var error = MQTTError(.tlsAlert, "alert", phase: .tlsHandshake)
        let alert = MQTTTLSFailure.Alert(received: received, code: code, name: "alert")
        let isAboutUs = alert.concernsClientCertificate(wasRequested: false)
        error.tls = MQTTTLSFailure(isAboutUs ? .clientCertificate : .alert, alert: alert)
        return error
    }

    @Test(arguments: [UInt8(42), 43, 44, 45, 46, 48, 49, 116])
    func `an alert about the client certificate has it read again`(code: UInt8) {
        #expect(decision(alert(code), hasClientCertificate: true) == .retryWithFreshCredentials)
        #expect(decision(alert(code)) == .retry(.slow))
        #expect(decision(alert(code, received: false), hasClientCertificate: true) == .retry(.slow))
    }

    @Test(arguments: [UInt8(10), 20, 40, 47, 50, 51, 70, 71, 80, 86, 112, 120])
    func `any other alert is slow`(code: UInt8) {
        #expect(decision(alert(code), hasClientCertificate: true) == .retry(.slow))
    }

    // 9 not yet valid, 10 expired, 18 to 21 unknown issuer, 23 revoked, 3 no CRL, 62 wrong name.
    @Test(arguments: [Int32(9), 10, 18, 19, 20, 21, 23, 3, 62])
    func `a certificate that fails a check is slow, at the start too, and never ends the client`(code: Int32) {
        var error = MQTTError(.tlsVerification, "failed", phase: .tlsHandshake)
        error.tls = MQTTTLSFailure(.verification, verification: .init(code: code, text: "", depth: 0))
        #expect(decision(error, isInitial: true) == .retry(.slow))
        #expect(decision(error, repetitions: 1_000) == .retry(.slow))
    }

    @Test func `a TLS configuration that cannot be used is a mistake at the start, and a file being replaced later`() {
        let error = MQTTError(.tlsConfiguration, "no such file", phase: .resolve)
        #expect(decision(error, isInitial: true) == .stop)
        #expect(decision(error) == .retry(.slow))
    }
}

// SPDX-License-Identifier: Apache-2.0

import Testing
import Turns

@testable import Mosquitto

@Suite(.turn(.units)) struct `The standard retry table` {
    typealias Decision = MQTTRetryPolicy.Decision

    private func decision(_ error: MQTTError, repetitions: Int = 1) -> Decision {
        .standard(for: MQTTFailure(error: error, attempt: 1, isInitial: false, repetitions: repetitions))
    }

    // MARK: CONNACK

    @Test(arguments: [
        (UInt8(1), Decision.stop), (2, .stop), (3, .retry(.standard)), (4, .retryWithFreshCredentials),
        (5, .retryWithFreshCredentials), (6, .retry(.slow)), (64, .retry(.slow)), (127, .retry(.slow)),
        (0x84, .stop), (0x87, .retryWithFreshCredentials), (0x9F, .retry(.rateLimited)), (0xFF, .retry(.slow)),
    ])
    func `a CONNACK of MQTT 3.1.1`(code: UInt8, expected: Decision) {
        #expect(decision(.refusal(.v3(code))) == expected)
    }

    private static let connack: [(UInt8, Decision)] = [
        (0x80, .retry(.standard)), (0x81, .stop), (0x82, .stop), (0x83, .retry(.slow)), (0x84, .stop), (0x85, .stop),
        (0x86, .retryWithFreshCredentials), (0x87, .retryWithFreshCredentials), (0x88, .retry(.standard)),
        (0x89, .retry(.slow)), (0x8A, .stop), (0x8C, .stop), (0x90, .stop), (0x95, .stop), (0x97, .retry(.slow)),
        (0x99, .stop), (0x9A, .stop), (0x9B, .stop), (0x9C, .redirect), (0x9D, .redirect),
        (0x9F, .retry(.rateLimited)),
    ]

    @Test(arguments: connack)
    func `a CONNACK of MQTT 5.0`(code: UInt8, expected: Decision) {
        #expect(decision(.refusal(.v5(MQTTReasonCode(rawValue: code)))) == expected)
    }

    @Test func `a CONNACK with a code that is not defined for it is treated with caution`() {
        let defined = Set(Self.connack.map(\.0))
        for code in UInt8(1)...UInt8.max where !defined.contains(code) {
            #expect(decision(.refusal(.v5(MQTTReasonCode(rawValue: code)))) == .retry(.slow))
        }
    }

    @Test func `the same CONNACK again is the same decision`() {
        for (code, expected) in Self.connack {
            #expect(decision(.refusal(.v5(MQTTReasonCode(rawValue: code))), repetitions: 9) == expected)
        }
    }

    // MARK: DISCONNECT

    /// The decisions for the first DISCONNECT and for a repeated one.
    private static let disconnect: [(UInt8, Decision, Decision)] = [
        (0x00, .retry(.standard), .retry(.slow)), (0x04, .retry(.standard), .retry(.standard)),
        (0x80, .retry(.standard), .retry(.standard)), (0x81, .retry(.standard), .stop),
        (0x82, .retry(.standard), .stop), (0x83, .retry(.standard), .retry(.standard)),
        (0x87, .retryWithFreshCredentials, .retryWithFreshCredentials), (0x89, .retry(.slow), .retry(.slow)),
        (0x8B, .retry(.standard), .retry(.standard)), (0x8C, .stop, .stop),
        (0x8D, .retry(.standard), .retry(.standard)), (0x8E, .stop, .stop), (0x8F, .retry(.standard), .stop),
        (0x90, .retry(.standard), .stop), (0x93, .retry(.standard), .retry(.standard)),
        (0x94, .retry(.standard), .retry(.standard)), (0x95, .retry(.standard), .stop),
        (0x96, .retry(.slow), .retry(.slow)), (0x97, .retry(.slow), .retry(.slow)),
        (0x98, .retry(.slow), .retry(.slow)), (0x99, .retry(.standard), .stop),
        (0x9A, .retry(.standard), .stop), (0x9B, .retry(.standard), .stop),
        (0x9C, .redirect, .redirect), (0x9D, .redirect, .redirect), (0x9E, .retry(.standard), .retry(.slow)),
        (0x9F, .retry(.slow), .retry(.slow)), (0xA0, .retryWithFreshCredentials, .retryWithFreshCredentials),
        (0xA1, .retry(.standard), .retry(.slow)), (0xA2, .retry(.standard), .retry(.slow)),
        (0xA3, .retry(.slow), .retry(.slow)), (0xC0, .retry(.slow), .retry(.slow)),
        (0xFF, .retry(.slow), .retry(.slow)),
    ]

    @Test(arguments: disconnect)
    func `a broker's DISCONNECT`(code: UInt8, first: Decision, repeated: Decision) {
        let error = MQTTError.disconnect(MQTTReasonCode(rawValue: code), reference: nil)
        #expect(decision(error) == first)
        #expect(decision(error, repetitions: 2) == repeated)
        #expect(decision(error, repetitions: 100) == repeated)
    }

    @Test func `a DISCONNECT with a code of another packet is retried`() {
        let defined = Set(Self.disconnect.map(\.0))
        for code in UInt8(0x80)...0xA2 where !defined.contains(code) {
            let error = MQTTError.disconnect(MQTTReasonCode(rawValue: code), reference: nil)
            #expect(decision(error, repetitions: 9) == .retry(.standard))
        }
    }

    @Test func `a takeover that is only suspected is slow, and one that the broker names is the end (D3)`() {
        #expect(decision(MQTTError(.sessionTakenOver, "suspected", phase: .connected)) == .retry(.slow))
        #expect(decision(.disconnect(.sessionTakenOver, reference: nil)) == .stop)
    }

    // MARK: Presets

    @Test func `an error tells whether it is retried`() {
        #expect(MQTTError(.connectionRefused, "connection refused", phase: .connect).isRetryable)
        #expect(!MQTTError(.tlsConfiguration, "no such file", phase: .connect).isRetryable)
        #expect(!MQTTError(.invalidConfiguration, "bad").isRetryable)
        #expect(!MQTTError(.operationRefused, "refused", phase: .connected).isRetryable)
        #expect(!MQTTError(.endsConnection, "forbidden", phase: .connected).isRetryable)
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

// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import Testing
import Turns

@testable import mosq

@Suite("Behaviour without --retry", .turn(.command))
struct CommandBehaviorTests {
    private func decision(
        _ behavior: CommandBehavior, _ code: MQTTError.Code, _ phase: MQTTError.Phase, reason: MQTTReasonCode? = nil,
        attempt: Int = 1, isInitial: Bool = false
    ) -> MQTTRetryPolicy.Decision {
        var error = MQTTError(code, "", phase: phase)
        error.reasonCode = reason
        return behavior.policy.decide(MQTTFailure(error: error, attempt: attempt, isInitial: isInitial))
    }

    @Test func `a publisher ends with any failure`() {
        #expect(decision(.publish, .connectionRefused, .connect, isInitial: true) == .stop)
        #expect(decision(.publish, .closed, .connected) == .stop)
    }

    @Test(arguments: [CommandBehavior.subscribe, .publishLines])
    func `others end if the first connection cannot be made`(behavior: CommandBehavior) {
        #expect(decision(behavior, .dns, .resolve, isInitial: true) == .stop)
        #expect(decision(behavior, .connectionRefused, .connect, isInitial: true) == .stop)
        #expect(decision(behavior, .tlsVerification, .tlsHandshake, isInitial: true) == .stop)
    }

    @Test(arguments: [CommandBehavior.subscribe, .publishLines])
    func `others connect again after a loss, each second`(behavior: CommandBehavior) {
        #expect(decision(behavior, .closed, .connected) == .retry(.standard))
        #expect(decision(behavior, .closed, .connack, isInitial: true) == .retry(.standard))
        #expect(decision(behavior, .connectionRefused, .connect) == .retry(.standard))
        #expect(decision(behavior, .connectionRefused, .connect, attempt: 2, isInitial: true) == .retry(.standard))
        #expect(behavior.policy.baseDelay == .seconds(1))
        #expect(behavior.policy.maximumDelay == .seconds(1))
        #expect(behavior.policy.minimumDelay == .seconds(1))
    }

    @Test(arguments: [CommandBehavior.subscribe, .publishLines])
    func `a refusal ends them, also later`(behavior: CommandBehavior) {
        #expect(decision(behavior, .notAuthorized, .connack, reason: .notAuthorized, isInitial: true) == .stop)
        #expect(decision(behavior, .notAuthorized, .connack, reason: .notAuthorized) == .stop)
        #expect(decision(behavior, .protocolViolation, .connected) == .stop)
    }
}

// SPDX-License-Identifier: Apache-2.0

import Testing
import Turns

@testable import Mosquitto

@Suite(.turn(.units)) struct `The standard retry table, for an upgrade to a WebSocket` {
    typealias Decision = MQTTRetryPolicy.Decision

    private func decision(
        _ status: Int?, _ code: MQTTError.Code = .upgradeRefused, isInitial: Bool = false, retryAfter: Duration? = nil
    ) -> Decision {
        var error = MQTTError(code, "refused", phase: .upgrade)
        error.httpStatus = status
        error.webSocket = MQTTWebSocketFailure(retryAfter: retryAfter)
        return .standard(for: MQTTFailure(error: error, attempt: 1, isInitial: isInitial))
    }

    @Test(
        arguments: [
            (200, Decision.retry(.slow)), (204, .retry(.slow)), (511, .retry(.slow)), (301, .redirect),
            (302, .redirect),
            (303, .redirect), (307, .redirect), (308, .redirect), (429, .retry(.rateLimited)), (500, .retry(.standard)),
            (502, .retry(.standard)), (503, .retry(.standard)), (504, .retry(.standard)), (408, .retry(.standard)),
            (425, .retry(.standard)), (410, .retry(.slow)), (451, .retry(.slow)), (999, .retry(.slow)),
            (300, .retry(.slow)), (304, .retry(.slow)), (305, .retry(.slow)), (nil, .retry(.slow)),
        ] as [(Int?, Decision)])
    func `a status, at the start and later`(status: Int?, expected: Decision) {
        #expect(decision(status) == expected && decision(status, isInitial: true) == expected)
    }

    @Test(arguments: [400, 404, 426, 501])
    func `a status that stops the client at the start, and is retried slowly later`(status: Int) {
        #expect(decision(status, isInitial: true) == .stop && decision(status) == .retry(.slow))
    }

    @Test func `what is refused, what a proxy refuses, and what has a time`() {
        #expect(decision(401, .notAuthorized) == .retryWithFreshCredentials)
        #expect(decision(403, .notAuthorized, isInitial: true) == .retryWithFreshCredentials)
        #expect(decision(407, .proxy) == .retry(.slow))
        #expect(decision(503, retryAfter: .seconds(9)) == .retry(.rateLimited))
    }
}

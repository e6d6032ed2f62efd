// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing
import Turns

@testable import Mosquitto

/// An issuer that is down for five minutes, on virtual time: the session's machine asks the rotator's machine, as the
/// session does.
private struct Outage {
    enum Answer: CaseIterable {
        case internalServerError, tooManyRequests, garbage, hanging
    }

    static let length = Duration.seconds(300)

    private var trace: MachineTrace
    private var rotator: TokenRotationStateMachine
    private let answer: Answer
    private let start: ContinuousClock.Instant
    private(set) var requests = 0

    init(_ answer: Answer, seed: UInt64, isConnected: Bool) {
        self.answer = answer
        trace = .init(hasProvider: true) {
            $0.retry = .production
            $0.retry.seed = seed
        }
        rotator = TokenRotationStateMachine(reuse: .untilRefresh, refreshAt: 0.8)
        _ = trace.start()
        if isConnected {
            let token = makeToken(#"{"iat":1000000,"exp":1003600}"#)
            _ = rotator.need(.connect, refused: nil, now: trace.now)
            _ = rotator.received(
                MQTTCredentials(password: MQTTSecret(token)), now: trace.now,
                wall: Date(timeIntervalSince1970: 1_000_000))
            trace.connectAgain(refreshIn: .seconds(2_880))
            trace.fire(.refresh)
        }
        start = trace.now
    }

    private var elapsed: Duration { trace.now - start }

    /// Returns the time from the end of the outage to the next request.
    mutating func run() -> Duration {
        let isConnected = if case .connected = trace.machine.state { true } else { false }
        while true {
            let purpose: MQTTConnectAttempt.Purpose = isConnected ? .rotation : .connect
            switch rotator.need(purpose, refused: nil, now: trace.now) {
            case .use, .useAndAsk: return .zero
            case .ask:
                if elapsed >= Self.length { return elapsed - Self.length }
                requests += 1
                if answer == .hanging { trace.advance(by: .seconds(10)) }
                var error = MQTTError(.credentials, "down", phase: .credentials)
                error.underlying = MQTTCredentialError.transient(
                    "down", retryAfter: answer == .tooManyRequests ? .seconds(5) : nil)
                rotator.failed(error, wasSlow: answer == .hanging, now: trace.now)
                fail(error, isConnected)
            case .fail(let error):
                fail(error, isConnected)
            }
        }
    }

    private mutating func fail(_ error: MQTTError, _ isConnected: Bool) {
        if isConnected {
            _ = trace.rotationFailed(retryAfter: error.retryAfter)
            trace.fire(.refresh)
        } else {
            _ = trace.credentialsFailed()
            trace.fire(.retry)
        }
    }

    var isStillConnected: Bool { if case .connected = trace.machine.state { true } else { false } }
}

@Suite(.turn(.units)) struct `An issuer that is down for five minutes` {
    @Test(arguments: Outage.Answer.allCases, [true, false])
    fileprivate func `it gets at most twenty requests, and is asked again within the longest delay`(
        answer: Outage.Answer, isConnected: Bool
    ) {
        for seed in 0..<200 as Range<UInt64> {
            var outage = Outage(answer, seed: seed, isConnected: isConnected)
            let healed = outage.run()
            #expect((1...20).contains(outage.requests), "seed \(seed)")
            // 60 s while connected; otherwise 120 s and a request in progress.
            #expect(healed <= .seconds(isConnected ? 70 : 130), "seed \(seed)")
            #expect(outage.isStillConnected == isConnected)
        }
    }
}

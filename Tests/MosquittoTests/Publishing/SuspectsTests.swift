// SPDX-License-Identifier: Apache-2.0

import Testing
import Turns

@testable import Mosquitto

@Suite(.turn(.units)) struct `The suspects of a connection that a broker ends` {
    private let now = ContinuousClock.now

    private func publish(_ topic: String = "t", bytes: Int = 0) -> OutgoingPublish {
        OutgoingPublish(
            topic: topic, payload: [UInt8](repeating: 0, count: bytes), qos: .atLeastOnce, retain: false,
            properties: .init())
    }

    private func end(
        _ reasonCode: MQTTReasonCode? = nil, received: Int = 0, isInMidPacket: Bool = false, isSent: Bool = true
    ) -> Suspects.End {
        var error = MQTTError(.closed, "closed")
        error.reasonCode = reasonCode
        return Suspects.End(error: error, received: received, isInMidPacket: isInMidPacket, isSent: isSent)
    }

    private func unanswered(
        _ subscriptions: [UInt16: [String]] = [:], _ unsubscriptions: [UInt16: [String]] = [:],
        _ publishes: [OutgoingPublish] = []
    ) -> Suspects.Unanswered {
        Suspects.Unanswered(subscriptions: subscriptions, unsubscriptions: unsubscriptions, publishes: publishes)
    }

    @Test func `are the filters that were asked for not long ago, in their order, and then publishes`() {
        var suspects = Suspects()
        suspects.sent(3, received: 0, now: now - Suspicion.patience)
        suspects.sent(5, received: 0, now: now)
        suspects.sent(4, received: 0, now: now)
        suspects.sent(6, received: 0, now: now)
        let one = publish()
        let verdict = suspects.ended(
            end(), unanswered([3: ["old"], 5: ["b", "c"], 4: ["a"]], [6: ["d"]], [one]), now: now)
        let expected: [Suspicion.Operation] = [
            .subscription("a"), .subscription("b"), .subscription("c"), .unsubscription("d"), .publish(one),
        ]
        #expect(verdict.suspected == expected)
        #expect(verdict.convicted.isEmpty)
        #expect(suspects.suspicion.isIsolating)
    }

    @Test func `one that is alone each time is convicted at the third end with a reason, at the sixth without one`() {
        for (code, ends) in [(MQTTReasonCode.protocolError, 3), (nil, 6)] {
            var suspects = Suspects()
            for number in 1...ends {
                suspects.connected()
                suspects.sent(1, received: 0, now: now)
                let verdict = suspects.ended(end(code), unanswered([1: ["a"]]), now: now)
                #expect(verdict.convicted == (number == ends ? [.subscription("a")] : []))
                suspects.connectionEnded()
            }
        }
    }

    @Test func `are acquitted by an end within a packet, or long after the last operation`() {
        for cut in [end(isInMidPacket: true), end(received: 5_000)] {
            var suspects = Suspects()
            for number in 0..<20 {
                suspects.connected()
                suspects.sent(1, received: 0, now: now)
                let isCut = number % 2 == 1
                let verdict = suspects.ended(isCut ? cut : end(), unanswered([1: ["a"]]), now: now)
                #expect(verdict.convicted.isEmpty)
            }
        }
    }

    @Test func `hold back publishes while filters are asked for, unless the connection is being ended`() {
        var suspects = Suspects()
        let (one, other) = (publish("a"), publish("b"))
        suspects.sent(1, received: 0, now: now)
        _ = suspects.ended(end(), unanswered([1: ["a"]], [:], [one]), now: now)
        suspects.connectionEnded()
        suspects.connected()
        #expect(suspects.mayAskForFilters)
        #expect(suspects.window(isConnected: true) == 0 && suspects.window(isConnected: false) == 1)
        #expect(!suspects.permits(one, sent: 0, inFlight: 0, isConnected: true))
        #expect(suspects.permits(one, sent: 0, inFlight: 0, isConnected: false))
        suspects.sent(2, received: 0, now: now)
        #expect(!suspects.mayAskForFilters)
        suspects.answered(2)
        let concerns = suspects.answered(.subscription("a"))
        #expect(concerns)
        #expect(suspects.permits(one, sent: 0, inFlight: 1, isConnected: true))
        #expect(!suspects.permits(one, sent: 2, inFlight: 2, isConnected: true))
        #expect(!suspects.permits(other, sent: 0, inFlight: 1, isConnected: true))
        let early = suspects.permitsOthers(inFlight: 1, isConnected: true)
        let late = suspects.permitsOthers(inFlight: 0, isConnected: true)
        #expect(!early && late)
        #expect(suspects.suspicion.isEmpty)
    }

    @Test func `know the largest packet of filters within a second`() {
        var suspects = Suspects()
        suspects.sent(1, received: 0, now: now - .seconds(2))
        suspects.sent(2, received: 0, now: now)
        #expect(suspects.mostFilters(in: [1: ["a", "b", "c"], 2: ["a", "b"]], now: now) == 2)
        #expect(suspects.mostFilters(in: [:], now: now) == 0)
    }

    @Test func `are no publishes that were sent before the last two ticks`() {
        var suspects = Suspects()
        suspects.connected()
        suspects.aged(lastSequence: 7)
        #expect(suspects.oldSequence == 0)
        suspects.aged(lastSequence: 9)
        #expect(suspects.oldSequence == 7)
        suspects.connected()
        #expect(suspects.oldSequence == 0)
    }
}

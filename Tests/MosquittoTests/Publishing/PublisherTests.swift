// SPDX-License-Identifier: Apache-2.0

import Testing
import Turns

@testable import Mosquitto

@Suite(.turn(.units)) struct `The publisher` {
    // MARK: Sending

    @Test func `encodes the queue in its order, and counts packet identifiers over QoS 0 too`() throws {
        let loose = LoosePublisher()
        loose.connect()
        try loose.enqueue("a")
        try loose.enqueue("b", .atMostOnce)
        try loose.enqueue("c", .exactlyOnce)
        #expect(loose.turn() == ["a q1 #1", "b q0", "c q2 #3"])
        #expect(loose.turn() == [])
        #expect(loose.count == 3)
    }

    @Test func `sends no more than the window, and the next one after an acknowledgement`() throws {
        let loose = LoosePublisher()
        loose.connect { $0.receiveMaximum = 2 }
        for topic in ["a", "b", "c"] { try loose.enqueue(topic) }
        #expect(loose.turn() == ["a q1 #1", "b q1 #2"])
        #expect(!loose.hasNext())
        loose.acknowledge(1)
        #expect(loose.hasNext())
        #expect(loose.turn() == ["c q1 #3"])
    }

    @Test func `a window holds back QoS 0 behind a message that waits for it`() throws {
        let loose = LoosePublisher()
        loose.connect { $0.receiveMaximum = 1 }
        try loose.enqueue("a")
        try loose.enqueue("b")
        try loose.enqueue("c", .atMostOnce)
        #expect(loose.turn() == ["a q1 #1"])
    }

    @Test func `has 19 messages of QoS 2 in flight at most with MQTT 3.1.1`() throws {
        let loose = LoosePublisher { $0.version = .v3_1_1 }
        loose.connect()
        for number in 0..<30 { try loose.enqueue("\(number)", .exactlyOnce) }
        #expect(loose.turn().count == 19)
    }

    @Test func `a turn ends at its limit, and the next one goes on`() throws {
        let loose = LoosePublisher()
        loose.connect()
        for _ in 0..<2_100 { try loose.enqueue("t", .atMostOnce) }
        #expect(loose.turn().count == 2_048)
        #expect(loose.hasNext())
        #expect(loose.turn().count == 52)
    }

    @Test func `large messages go out in several writes of one turn`() throws {
        let loose = LoosePublisher()
        loose.connect()
        for number in 0..<10 { try loose.enqueue("\(number)", .atMostOnce, bytes: 40_000) }
        var turn = Publisher.Turn(isConnected: true)
        var sizes: [Int] = []
        while loose.publisher.encode(&turn, isBacklogged: false, &loose.suspects) {
            sizes.append(loose.publisher.bytes.count)
            loose.publisher.written(wire: 0..<0)
        }
        #expect(sizes.count == 5)
        #expect(sizes.allSatisfy { $0 > 80_000 && $0 < 81_000 })
    }

    @Test func `a known topic goes by its alias`() throws {
        let loose = LoosePublisher()
        loose.connect { $0.topicAliasMaximum = 1 }
        let topic = "a/topic/longer/than/its/alias"
        for _ in 0..<2 { try loose.enqueue(topic, .atMostOnce) }
        #expect(loose.turn() == ["\(topic) q0", " q0"])
        loose.connect { $0.topicAliasMaximum = 1 }
        try loose.enqueue(topic, .atMostOnce)
        #expect(loose.turn() == ["\(topic) q0"])
    }

    // MARK: Outcomes

    @Test func `QoS 0 succeeds when the kernel has taken its write`() async throws {
        let loose = LoosePublisher()
        loose.connect()
        let outcome = await loose.outcome("t", .atMostOnce) { publish in
            loose.turn()
            loose.publisher.sent(upTo: loose.position - 1)
            #expect(publish.continuation != nil)
            loose.publisher.sent(upTo: loose.position)
        }
        #expect(try outcome.get() == .success)
        #expect(!loose.hasMessages)
    }

    @Test func `QoS 1 succeeds at its PUBACK`() async throws {
        let loose = LoosePublisher()
        loose.connect()
        let outcome = await loose.outcome("t") { _ in
            loose.turn()
            loose.acknowledge(1, .atLeastOnce, 0x10)
        }
        #expect(try outcome.get().reasonCode == .noMatchingSubscribers)
        #expect(loose.hasProgressed() && !loose.hasProgressed())
    }

    @Test func `QoS 2 succeeds at its PUBCOMP, with the reason of its PUBREC`() async throws {
        let loose = LoosePublisher()
        loose.connect()
        let outcome = await loose.outcome("t", .exactlyOnce) { publish in
            loose.turn()
            loose.receive(1, 0x10)
            #expect(publish.continuation != nil)
            loose.acknowledge(1, .exactlyOnce, 0x92)
        }
        #expect(try outcome.get().reasonCode == .noMatchingSubscribers)
    }

    @Test func `a refusal is the caller's error, and told`() async {
        let loose = LoosePublisher()
        loose.connect()
        let outcome = await loose.outcome("t") { _ in
            loose.turn()
            #expect(loose.acknowledge(1, .atLeastOnce, 0x87).refusal == .notAuthorized)
        }
        #expect(throws: MQTTError.self) { try outcome.get() }
        #expect(!loose.hasMessages)
    }

    @Test func `an acknowledgement of another QoS breaks the protocol, one of nobody is ignored`() throws {
        let loose = LoosePublisher()
        loose.connect()
        try loose.enqueue("t")
        loose.turn()
        #expect(loose.acknowledge(2).isUnknown)
        #expect(loose.acknowledge(1, .exactlyOnce).violation?.code == .protocolViolation)
        #expect(loose.receive(1).violation?.code == .protocolViolation)
        #expect(loose.inFlight == 1)
    }

    @Test func `what the CONNACK rules out is refused without a packet`() async {
        let loose = LoosePublisher()
        loose.connect {
            $0.maximumQoS = .atLeastOnce
            $0.retainAvailable = false
            $0.maximumPacketSize = 100
        }
        let outcomes = [
            await loose.outcome("a", .exactlyOnce) { _ in #expect(loose.turn() == []) },
            await loose.outcome("b", retain: true) { _ in #expect(loose.turn() == []) },
            await loose.outcome("c", bytes: 100) { _ in #expect(loose.turn() == []) },
        ]
        let codes = outcomes.map { $0.error?.reasonCode }
        #expect(codes == [.qosNotSupported, .retainNotSupported, .packetTooLarge])
    }

    // MARK: Connections

    @Test func `a resumed session gets the same packets again, with DUP and a PUBREL, before new ones`() throws {
        let loose = LoosePublisher { $0.isPersistent = true }
        loose.connect()
        try loose.enqueue("a")
        try loose.enqueue("b", .exactlyOnce)
        loose.turn()
        loose.receive(2)
        loose.disconnect()
        try loose.enqueue("c")
        loose.connect(isResumed: true)
        #expect(loose.turn() == ["a q1 #1 dup", "release #2", "c q1 #3"])
    }

    @Test func `without the session messages are published anew, and one with PUBREC has succeeded`() async throws {
        let loose = LoosePublisher()
        loose.connect()
        try loose.enqueue("a")
        let outcome = await loose.outcome("b", .exactlyOnce) { _ in
            loose.turn()
            loose.receive(2)
            loose.disconnect()
        }
        #expect(try outcome.get() == .success)
        loose.connect()
        #expect(loose.turn() == ["a q1 #1"])
    }

    @Test func `QoS 0 that did not leave whole is sent again first`() throws {
        let loose = LoosePublisher()
        loose.connect()
        try loose.enqueue("a", .atMostOnce)
        loose.turn()
        let sent = loose.position
        try loose.enqueue("b", .atMostOnce)
        loose.turn()
        try loose.enqueue("c", .atMostOnce)
        loose.disconnect(sent: sent + 1)
        loose.connect()
        #expect(loose.turn() == ["b q0", "c q0"])
    }

    @Test func `a smaller window holds back what is sent again`() throws {
        let loose = LoosePublisher { $0.isPersistent = true }
        loose.connect()
        for topic in ["a", "b"] { try loose.enqueue(topic) }
        loose.turn()
        loose.disconnect()
        try loose.enqueue("c", .atMostOnce)
        loose.connect(isResumed: true) { $0.receiveMaximum = 1 }
        #expect(loose.turn() == ["a q1 #1 dup", "c q0"])
        loose.acknowledge(1)
        #expect(loose.turn() == ["b q1 #2 dup"])
    }

    @Test func `a full socket gets nothing again`() throws {
        let loose = LoosePublisher { $0.isPersistent = true }
        loose.connect()
        try loose.enqueue("a")
        loose.turn()
        loose.disconnect()
        loose.connect(isResumed: true)
        #expect(loose.turn(isBacklogged: true) == [])
        #expect(loose.turn() == ["a q1 #1 dup"])
    }

    @Test func `a packet identifier that the broker has in use is left alone, and the message sent under another`()
        throws
    {
        let loose = LoosePublisher { $0.isPersistent = true }
        loose.connect()
        try loose.enqueue("a")
        loose.turn()
        #expect(loose.acknowledge(1, .atLeastOnce, 0x91).refusal == nil)
        #expect(loose.turn() == ["a q1 #2"])
        #expect(loose.isInUse(1))
    }

    @Test func `a packet identifier of a SUBSCRIBE under way is not used`() throws {
        let loose = LoosePublisher()
        loose.connect()
        _ = try loose.publisher.identifiers.take()
        loose.publisher.identifiers.restart(after: .max)
        try loose.enqueue("a")
        #expect(loose.turn() == ["a q1 #2"])
    }

    @Test func `a stop fails what was not acknowledged, and all that comes`() async throws {
        let loose = LoosePublisher()
        loose.connect()
        let stopped = MQTTError(.stopped, "stopped")
        let outcome = await loose.outcome("a") { _ in
            loose.turn()
            #expect(loose.lost == 1)
            loose.publisher.stop(stopped)
        }
        #expect(throws: MQTTError.self) { try outcome.get() }
        #expect(throws: MQTTError.self) { try loose.enqueue("b") }
        #expect(!loose.hasMessages)
    }

    @Test func `a cancelled message in flight keeps its place until it is acknowledged`() async throws {
        let loose = LoosePublisher()
        loose.connect()
        let outcome = await loose.outcome("a") { publish in
            loose.turn()
            loose.publisher.cancel(publish, MQTTError(.cancelled, "cancelled"))
        }
        #expect(throws: MQTTError.self) { try outcome.get() }
        #expect(loose.inFlight == 1)
        loose.acknowledge(1)
        #expect(!loose.hasMessages)
    }

    // MARK: Expiry

    @Test func `a message whose time has passed is not sent`() async {
        let loose = LoosePublisher()
        loose.connect()
        let outcome = await loose.outcome("a", expiry: 0) { _ in #expect(loose.turn() == []) }
        #expect(outcome.error?.code == .messageExpired)
    }

    @Test func `time ends a call for a message in flight only without a connection`() async {
        let loose = LoosePublisher { $0.isPersistent = true }
        loose.connect()
        let outcome = await loose.outcome("a", expiry: 60) { publish in
            loose.turn()
            loose.disconnect()
            #expect(!loose.expiresInFlight(isOffline: false))
            #expect(loose.expiresInFlight(isOffline: true))
            loose.publisher.removeExpired(.now + .seconds(61), isOffline: false)
            #expect(publish.continuation != nil)
            loose.publisher.removeExpired(.now + .seconds(61), isOffline: true)
        }
        #expect(outcome.error?.code == .messageExpired)
        #expect(loose.inFlight == 1)
    }

    // MARK: Verdicts

    @Test func `a suspect goes alone, and others after it`() throws {
        let loose = LoosePublisher()
        loose.connect()
        for topic in ["a", "b"] { try loose.enqueue(topic) }
        loose.turn()
        let end = Suspects.End(
            error: MQTTError(.closed, "closed"), received: 0, isInMidPacket: false, isSent: true)
        let unanswered = Suspects.Unanswered(
            subscriptions: [:], unsubscriptions: [:], publishes: loose.publisher.unanswered(after: 0))
        let verdict = loose.suspects.ended(end, unanswered, now: .now)
        #expect(verdict.suspected.count == 2 && verdict.convicted.isEmpty)
        loose.disconnect()
        try loose.enqueue("c", .atMostOnce)
        loose.connect()
        #expect(loose.turn() == ["a q1 #1"])
        guard case .answered(let publish, _) = loose.acknowledge(1) else {
            Issue.record("no such outcome")
            return
        }
        let concerns = loose.suspects.answered(.publish(publish))
        #expect(concerns)
        #expect(loose.turn() == ["b q1 #2"])
    }

    @Test func `a convicted message fails, and its identifier is not used again in a persistent session`() throws {
        let loose = LoosePublisher { $0.isPersistent = true }
        loose.connect()
        let publish = try loose.enqueue("a")
        loose.turn()
        loose.publisher.convict(publish, MQTTError(.endsConnection, "guilty"))
        #expect(loose.inFlight == 0 && loose.isInUse(1))
    }

    @Test func `a message that the broker names is refused in a clean session only`() throws {
        for isPersistent in [true, false] {
            let loose = LoosePublisher { $0.isPersistent = isPersistent }
            loose.connect()
            try loose.enqueue("a", retain: true)
            try loose.enqueue("b")
            loose.turn()
            #expect(loose.convict(MQTTError(.operationRefused, "no"), where: \.retain) == !isPersistent)
            #expect(loose.inFlight == (isPersistent ? 2 : 1))
        }
    }

    @Test func `a broker that had too much gets half of the window for good`() {
        let loose = LoosePublisher { $0.maximumInFlight = 100 }
        loose.connect { $0.receiveMaximum = 10 }
        loose.publisher.narrow()
        loose.connect { $0.receiveMaximum = 10 }
        #expect(loose.window == 5)
    }

    @Test func `without a connection QoS 0 fails, if it is not to wait`() async {
        let loose = LoosePublisher({ $0.queuesQoS0Offline = false }, MQTTQueuePolicy(queuesQoS0Offline: false))
        loose.connect()
        let outcome = await loose.outcome("a", .atMostOnce) { _ in loose.publisher.setOffline(true) }
        #expect(outcome.error?.code == .notConnected)
    }
}

extension OutgoingPublish.Outcome {
    fileprivate var error: MQTTError? { if case .failure(let error) = self { error } else { nil } }
}

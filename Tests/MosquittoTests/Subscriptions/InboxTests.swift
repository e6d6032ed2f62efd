// SPDX-License-Identifier: Apache-2.0

import Testing
import Turns

@testable import Mosquitto

/// An ``Inbox`` without a session.
private final class Fixture {
    var inbox: Inbox
    var subscriber: Subscriber

    init(_ change: (inout Inbox.Configuration) -> Void = { _ in }) {
        var configuration = Inbox.Configuration()
        configuration.countsDropped = true
        change(&configuration)
        inbox = Inbox(configuration, logger: quiet)
        subscriber = Subscriber(
            .init(version: .v5_0, clientID: "test", keepsFilters: configuration.isPersistent, maximumFilters: 100),
            PacketIdentifiers(), logger: quiet)
        connect()
    }

    func connect(isResumed: Bool = false) {
        inbox.connected(isResumed: isResumed, subscriber.table.consumers)
    }

    func with<Result>(_ body: (inout Inbox) -> Result) -> Result { body(&inbox) }

    func consumer(_ filter: MQTTSubscription, _ policy: MQTTBufferPolicy = .default) -> MessageBuffer {
        let consumer = MessageBuffer([filter], policy: policy) {}
        subscriber.add(consumer)
        return consumer
    }

    /// Receives the PUBLISH packets of one turn, by topic and QoS. Returns the immediate acknowledgements.
    @discardableResult
    func publish(
        _ packetID: UInt16, _ topic: String = "a", _ qos: MQTTQoS = .atLeastOnce, isRepetition: Bool = false,
        isDiscarded: Bool = false
    ) -> [String] {
        var message = MQTTMessage(topic: topic, payload: [1], qos: qos)
        message.isRepetition = isRepetition
        message.isDiscarded = isDiscarded
        inbox.published(packetID, qos)
        if let incoming = inbox.receive(message, packetID) { _ = inbox.deliver([incoming], &subscriber) }
        return sent()
    }

    func release(_ packetID: UInt16) -> [String] {
        inbox.answerRelease(packetID)
        _ = inbox.released(packetID)
        return sent()
    }

    /// Handles the receipts that consumers have settled. Returns the resulting acknowledgements.
    func settle() -> [String] {
        _ = inbox.takeReceipts()
        return sent()
    }

    private func sent() -> [String] {
        var packets: [String] = []
        inbox.takeAcknowledgements { bytes in
            for start in stride(from: 0, to: bytes.count, by: 4) {
                let name = [4: "PUBACK", 5: "PUBREC", 6: "PUBREL", 7: "PUBCOMP"][bytes[start] >> 4] ?? "?"
                packets.append("\(name) \(UInt16(bytes[start + 2]) << 8 | UInt16(bytes[start + 3]))")
            }
        }
        return packets
    }
}

extension MessageBuffer {
    /// Takes the next message, which handles the one before.
    fileprivate func read() async -> String? { waiting > 0 ? await next(isolation: nil)?.topic : nil }
}

@Suite(.turn(.units)) struct `An inbox` {
    private var fixture = Fixture()

    // MARK: Acknowledging at once

    @Test mutating func `a message is acknowledged by its QoS, and comes to its consumer`() async {
        let consumer = fixture.consumer("#")
        #expect(fixture.publish(1, "a", .atLeastOnce) == ["PUBACK 1"])
        #expect(fixture.publish(2, "b", .exactlyOnce) == ["PUBREC 2"])
        #expect(fixture.publish(0, "c", .atMostOnce).isEmpty)
        #expect(await [consumer.read(), consumer.read(), consumer.read()] == ["a", "b", "c"])
    }

    @Test mutating func `a QoS 2 message that comes twice is delivered once, until its release`() {
        let consumer = fixture.consumer("a")
        #expect(fixture.publish(1, "a", .exactlyOnce) == ["PUBREC 1"])
        #expect(fixture.publish(1, "a", .exactlyOnce) == ["PUBREC 1"])
        #expect(consumer.waiting == 1)
        #expect(fixture.release(1) == ["PUBCOMP 1"])
        #expect(fixture.publish(1, "a", .exactlyOnce) == ["PUBREC 1"])
        #expect(consumer.waiting == 2)
    }

    @Test mutating func `a new session of the broker knows no QoS 2 message of the old one`() {
        let consumer = fixture.consumer("a")
        fixture.publish(1, "a", .exactlyOnce)
        fixture.inbox.connectionEnded()
        fixture.connect()
        fixture.publish(1, "a", .exactlyOnce)
        #expect(consumer.waiting == 2)
    }

    @Test mutating func `a resumed session goes on with its QoS 2 messages`() {
        let consumer = fixture.consumer("a")
        fixture.publish(1, "a", .exactlyOnce)
        fixture.inbox.connectionEnded()
        fixture.connect(isResumed: true)
        fixture.publish(1, "a", .exactlyOnce, isRepetition: true)
        #expect(consumer.waiting == 1)
    }

    /// It would come again and again.
    @Test mutating func `a message with too many properties is acknowledged, and no consumer gets it`() {
        let consumer = fixture.consumer("#")
        #expect(fixture.publish(1, "a", isDiscarded: true) == ["PUBACK 1"])
        #expect(fixture.publish(2, "a", .exactlyOnce, isDiscarded: true) == ["PUBREC 2"])
        #expect(consumer.waiting == 0)
        fixture = Fixture { ($0.holds, $0.isPersistent) = (true, true) }
        let holding = fixture.consumer("#")
        _ = fixture.publish(1, "a", isDiscarded: true)
        #expect(fixture.settle() == ["PUBACK 1"])
        #expect(holding.waiting == 0)
        fixture = Fixture { ($0.acknowledgesOnDelivery, $0.isPersistent) = (true, true) }
        #expect(fixture.publish(1, "nobody", isDiscarded: true) == ["PUBACK 1"])
    }

    // MARK: Acknowledging after handling

    @Test mutating func `with afterHandling a message is acknowledged when the next one is asked for`() async {
        fixture = Fixture { $0.holds = true }
        let consumer = fixture.consumer("#")
        #expect(fixture.publish(1, "a").isEmpty)
        #expect(fixture.publish(2, "b", .exactlyOnce).isEmpty)
        #expect(await consumer.read() == "a")
        #expect(fixture.settle().isEmpty)
        #expect(await consumer.read() == "b")
        #expect(fixture.settle() == ["PUBACK 1"])
        _ = consumer.finish(hasHandledLast: true)
        #expect(fixture.settle() == ["PUBREC 2"])
    }

    @Test mutating func `a message of two consumers waits for both`() {
        fixture = Fixture { $0.holds = true }
        let consumers = [fixture.consumer("a"), fixture.consumer("a")]
        fixture.publish(1)
        for (consumer, expected) in zip(consumers, [[], ["PUBACK 1"]]) {
            for message in consumer.finish(hasHandledLast: true) { message.receipt?.settle(isHandled: true) }
            #expect(fixture.settle() == expected)
        }
    }

    @Test mutating func `one that is handled after the connection is acknowledged when it comes again`() async {
        fixture = Fixture { ($0.holds, $0.isPersistent) = (true, true) }
        let consumer = fixture.consumer("a")
        fixture.publish(1)
        #expect(await consumer.read() == "a")
        fixture.inbox.connectionEnded()
        fixture.connect(isResumed: true)
        _ = consumer.finish(hasHandledLast: true)
        #expect(fixture.settle().isEmpty)
        #expect(fixture.publish(1, isRepetition: true) == ["PUBACK 1"])
        #expect(consumer.isIdle)
    }

    @Test mutating func `nothing follows a DISCONNECT`() {
        fixture = Fixture { $0.holds = true }
        let consumer = fixture.consumer("a")
        fixture.publish(1)
        fixture.inbox.disconnecting()
        for message in consumer.finish(hasHandledLast: true) { message.receipt?.settle(isHandled: true) }
        #expect(fixture.settle().isEmpty)
    }

    @Test mutating func `what a clean session has not handled is acknowledged all the same`() {
        fixture = Fixture { $0.holds = true }
        let consumer = fixture.consumer("a")
        fixture.publish(1)
        fixture.inbox.putBack(consumer.finish(hasHandledLast: true), fixture.subscriber)
        #expect(fixture.settle() == ["PUBACK 1"])
    }

    // MARK: Messages without a consumer

    @Test mutating func `a clean session discards what nobody wants`() {
        #expect(fixture.publish(1) == ["PUBACK 1"])
        #expect(fixture.inbox.unclaimed.count == 0)
    }

    @Test mutating func `a persistent session holds it, and the acknowledgements behind it, for the next consumer`() {
        fixture = Fixture { ($0.acknowledgesOnDelivery, $0.isPersistent) = (true, true) }
        _ = fixture.consumer("b")
        #expect(fixture.publish(1, "a").isEmpty)
        #expect(fixture.publish(2, "b").isEmpty)
        let consumer = MessageBuffer(["a"], policy: .default) {}
        let claimed = fixture.inbox.claim(for: consumer, kept: [], isConnected: true)
        #expect(claimed.map(\.message.topic) == ["a"])
        #expect(fixture.settle() == ["PUBACK 1", "PUBACK 2"])
    }

    @Test mutating func `what waits for too long is left to the broker`() {
        fixture = Fixture { ($0.acknowledgesOnDelivery, $0.isPersistent) = (true, true) }
        _ = fixture.consumer("b")
        fixture.publish(1, "a")
        fixture.publish(2, "b")
        fixture.inbox.lookAtUnclaimed(kept: [], now: .now + .seconds(20))
        #expect(fixture.settle() == ["PUBACK 2"])
        #expect(fixture.inbox.givenBack == [1: "a"])
        #expect(!fixture.inbox.resending.isDue)
        let late = MessageBuffer(["a"], policy: .default) {}
        #expect(fixture.with { $0.claim(for: late, kept: [], isConnected: true) }.isEmpty)
        #expect(fixture.inbox.resending.isDue)
    }

    @Test mutating func `what comes for a filter that was ended is for nobody`() {
        fixture = Fixture { ($0.acknowledgesOnDelivery, $0.isPersistent) = (true, true) }
        fixture.publish(1, "a")
        fixture.subscriber.end(["a"], WaiterID(number: 1))
        fixture.inbox.discardEnded(fixture.subscriber)
        #expect(fixture.settle() == ["PUBACK 1"])
        #expect(fixture.publish(2, "a") == ["PUBACK 2"])
    }

    // MARK: Reading

    @Test mutating func `a full consumer stops the reading, unless a call waits for the broker`() async {
        let consumer = fixture.consumer("a", MQTTBufferPolicy(capacity: 1, whenFull: .pauseReading))
        let fixture = fixture
        func isReadable(_ awaitsAnswer: Bool) -> Bool {
            fixture.inbox.isReadable(fixture.subscriber.table.consumers, awaitsAnswer: awaitsAnswer)
        }
        #expect(isReadable(false))
        fixture.publish(1)
        #expect(!isReadable(false))
        #expect(isReadable(true))
        #expect(await consumer.read() == "a")
        #expect(isReadable(false))
    }

    @Test mutating func `what a buffer drops is counted once`() {
        _ = fixture.consumer("a", MQTTBufferPolicy(capacity: 1, whenFull: .dropOldest))
        for packetID in 1...3 { fixture.publish(UInt16(packetID)) }
        #expect(fixture.with { $0.takeDropped() } == 2)
        #expect(fixture.with { $0.takeDropped() } == 0)
    }

    // MARK: A shutdown

    @Test mutating func `a shutdown waits for the release of what the broker was told of`() {
        _ = fixture.consumer("a")
        fixture.publish(1, "a", .exactlyOnce)
        fixture.publish(2, "a", .exactlyOnce)
        fixture.inbox.awaitReleases(true)
        #expect(fixture.inbox.awaitsRelease)
        #expect(!fixture.with { $0.released(1) })
        #expect(fixture.with { $0.hasProgressed() })
        #expect(!fixture.with { $0.hasProgressed() })
        #expect(fixture.with { $0.released(2) })
        #expect(!fixture.inbox.awaitsRelease)
    }
}

@Suite(.turn(.units)) struct `Reconnecting for what was not handled` {
    private var resending = Resending(receiveMaximum: 20)
    private let start = ContinuousClock.now

    @Test mutating func `is worth it when half of a window is left to the broker`() {
        for _ in 0..<9 { resending.left() }
        #expect(!resending.isDue)
        resending.left()
        #expect(resending.isDue)
        resending.connectionEnded()
        #expect(!resending.isDue)
    }

    @Test mutating func `is rarer when it repeats itself, up to five minutes`() {
        var now = start
        var waits: [Duration] = []
        for _ in 0..<7 {
            let wait = resending.wait(now: now)
            waits.append(wait)
            now += wait
            resending.begin(now: now)
        }
        #expect(waits == [0, 10, 20, 40, 80, 160, 300].map { .seconds($0) })
    }

    @Test mutating func `begins afresh after a quiet time`() {
        resending.begin(now: start)
        resending.begin(now: start + .seconds(10))
        resending.begin(now: start + .seconds(100))
        #expect(resending.wait(now: start + .seconds(100)) == .seconds(10))
    }
}

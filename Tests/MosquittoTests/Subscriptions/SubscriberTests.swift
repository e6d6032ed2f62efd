// SPDX-License-Identifier: Apache-2.0

import Testing
import Turns

@testable import Mosquitto

/// An action of a ``Subscriber``, in a form that can be compared.
private enum Step: Equatable {
    case subscribe(UInt16, [String])
    case unsubscribe(UInt16, [String])
    case granted(UInt64, [UInt8])
    case failed(UInt64, MQTTError.Code, UInt8?)
    case answered(Subscriber.Request)
    case denied(UInt8)
    case resubscribed([String])
    case refused(String)
}

/// A subscriber whose actions are recorded.
private final class Fixture {
    var subscriber: Subscriber
    let identifiers = PacketIdentifiers()
    private var callers: UInt64 = 0

    init(keepsFilters: Bool = false, maximumFilters: Int = 100, version: MQTTVersion = .v5_0) {
        subscriber = Subscriber(
            .init(version: version, clientID: "test", keepsFilters: keepsFilters, maximumFilters: maximumFilters),
            identifiers, logger: quiet)
    }

    func consumer(_ subscriptions: MQTTSubscription...) -> MessageBuffer {
        MessageBuffer(subscriptions, policy: .default) {}
    }

    func caller() -> WaiterID {
        callers += 1
        return WaiterID(number: callers)
    }

    func subscribe(_ consumer: MessageBuffer, acceptsRefusals: Bool = false, isConnected: Bool = true)
        -> [Step]
    {
        subscriber.add(consumer)
        let actions = subscriber.subscribe(
            consumer, caller(), acceptsRefusals: acceptsRefusals, isConnected: isConnected)
        return actions.map(step)
    }

    /// Subscribes, and grants everything.
    func establish(_ consumer: MessageBuffer) {
        for case .subscribe(let packetID, let filters) in subscribe(consumer) {
            _ = subscriber.subscribed(packetID, filters.map { _ in 1 }, nil)
        }
    }

    func perform(_ body: (inout Subscriber) -> [Subscriber.Action]) -> [Step] { body(&subscriber).map(step) }

    private func step(_ action: Subscriber.Action) -> Step {
        switch action {
        case .send(let packet, let packetID):
            let filters = Self.filters(packet, subscriber.configuration.version)
            return packet[0] == 0x82 ? .subscribe(packetID, filters) : .unsubscribe(packetID, filters)
        case .resume(let caller, .success(let codes)): return .granted(caller.number, codes.map(\.rawValue))
        case .resume(let caller, .failure(let error)): return .failed(caller.number, error.code, error.rawReasonCode)
        case .answered(let request): return .answered(request)
        case .denied(let code): return .denied(code.rawValue)
        case .resubscribed(let filters): return .resubscribed(filters)
        case .refused(let filter, _): return .refused(filter.filter)
        }
    }

    /// The filters of a packet of less than 128 bytes.
    private static func filters(_ packet: [UInt8], _ version: MQTTVersion) -> [String] {
        var rest = packet.dropFirst(4)
        if version == .v5_0 { rest = rest.dropFirst(1 + Int(rest.first ?? 0)) }
        var filters: [String] = []
        while rest.count >= 2 {
            let count = Int(rest.removeFirst()) << 8 | Int(rest.removeFirst())
            filters.append(String(decoding: rest.prefix(count), as: UTF8.self))
            rest = rest.dropFirst(packet[0] == 0x82 ? count + 1 : count)
        }
        return filters
    }
}

@Suite(.turn(.units)) struct `A subscriber` {
    private var fixture = Fixture()

    // MARK: SUBSCRIBE

    @Test mutating func `asks for the filters of a call, and resumes it with the broker's answer`() {
        #expect(fixture.subscribe(fixture.consumer("a", "b")) == [.subscribe(1, ["a", "b"])])
        #expect(fixture.subscriber.awaitsAnswer)
        #expect(
            fixture.perform { $0.subscribed(1, [1, 0], nil) } == [
                .answered(.subscription("a")), .answered(.subscription("b")), .denied(1), .denied(0),
                .granted(1, [1, 0]),
            ])
        #expect(!fixture.subscriber.awaitsAnswer)
        #expect(!fixture.identifiers.isInUse(1))
    }

    @Test mutating func `asks on the next connection if there is none`() {
        #expect(fixture.subscribe(fixture.consumer("a"), isConnected: false).isEmpty)
        #expect(fixture.perform { $0.restore() } == [.subscribe(1, ["a"])])
        #expect(fixture.perform { $0.subscribed(1, [1], nil) }.last == .granted(1, [1]))
    }

    @Test mutating func `asks again if the connection ends before the answer`() {
        _ = fixture.subscribe(fixture.consumer("a"))
        #expect(fixture.perform { $0.connectionEnded() }.isEmpty)
        #expect(!fixture.identifiers.isInUse(1))
        #expect(fixture.perform { $0.restore() } == [.subscribe(2, ["a"])])
        #expect(fixture.perform { $0.subscribed(1, [1], nil) } == [.denied(1)])
        #expect(fixture.perform { $0.subscribed(2, [1], nil) }.last == .granted(1, [1]))
    }

    @Test mutating func `a refusal fails the call, with the broker's words`() throws {
        _ = fixture.subscribe(fixture.consumer("a", "b"))
        var explanation = ReasonExplanation()
        explanation.reasonString = "not you"
        let actions = fixture.subscriber.subscribed(1, [1, 0x87], explanation)
        guard case .resume(_, .failure(let error))? = actions.last else { return #expect(Bool(false)) }
        #expect(error.code == .operationRefused)
        #expect(error.reasonCode == .notAuthorized)
        #expect(error.reasonString == "not you")
        #expect(error.refusedFilters == ["b"])
    }

    @Test mutating func `a call that accepts refusals goes on with the others`() {
        let consumer = fixture.consumer("a", "b")
        _ = fixture.subscribe(consumer, acceptsRefusals: true)
        #expect(fixture.perform { $0.subscribed(1, [1, 0x87], nil) }.last == .granted(1, [1, 0x87]))
        #expect(fixture.perform { $0.restore() }.isEmpty)
    }

    @Test mutating func `a filter that two calls want resumes both, when the last packet is answered`() {
        _ = fixture.subscribe(fixture.consumer("a"))
        #expect(fixture.subscribe(fixture.consumer("a")) == [.subscribe(2, ["a"])])
        #expect(fixture.perform { $0.subscribed(1, [1], nil) } == [.answered(.subscription("a")), .denied(1)])
        #expect(fixture.perform { $0.subscribed(2, [1], nil) }.suffix(2) == [.granted(2, [1]), .granted(1, [1])])
    }

    @Test mutating func `of a cancelled call the answer concerns nobody`() {
        let consumer = fixture.consumer("a")
        _ = fixture.subscribe(consumer)
        let cancelled = MQTTError(.cancelled, "")
        #expect(fixture.perform { $0.endWait(for: consumer, .failure(cancelled)) } == [.failed(1, .cancelled, nil)])
        fixture.subscriber.remove(consumer)
        #expect(fixture.perform { $0.subscribed(1, [1], nil) } == [.answered(.subscription("a")), .denied(1)])
        #expect(fixture.perform { $0.unsubscribe() } == [.unsubscribe(2, ["a"])])
    }

    @Test mutating func `a consumer that is full before the answer begins with what it asked for`() {
        let consumer = fixture.consumer(MQTTSubscription("a", qos: .exactlyOnce))
        _ = fixture.subscribe(consumer)
        #expect(fixture.perform { $0.beginEarly(consumer) } == [.granted(1, [2])])
        #expect(fixture.perform { $0.beginEarly(consumer) }.isEmpty)
    }

    // MARK: After a reconnect

    @Test mutating func `the broker's new session gets all filters, and the grant is told`() {
        fixture.establish(fixture.consumer("a", "b"))
        _ = fixture.perform { $0.connectionEnded() + $0.sessionForgotten() }
        #expect(fixture.perform { $0.restore() } == [.subscribe(2, ["a", "b"])])
        #expect(fixture.perform { $0.subscribed(2, [1, 1], nil) }.last == .resubscribed(["a", "b"]))
    }

    @Test mutating func `a session that the broker has kept needs nothing`() {
        fixture.establish(fixture.consumer("a"))
        _ = fixture.perform { $0.connectionEnded() }
        #expect(fixture.perform { $0.restore() }.isEmpty)
    }

    @Test mutating func `a consumer whose only filter is refused comes to its end`() {
        let consumer = fixture.consumer("a")
        fixture.establish(consumer)
        _ = fixture.perform { $0.connectionEnded() + $0.sessionForgotten() + $0.restore() }
        #expect(
            fixture.perform { $0.subscribed(2, [0x87], nil) } == [
                .answered(.subscription("a")), .refused("a"), .denied(0x87),
            ])
        #expect(consumer.ending?.reasonCode == .notAuthorized)
        #expect(fixture.subscriber.table.consumers.isEmpty)
        #expect(fixture.perform { $0.unsubscribe() }.isEmpty)
    }

    @Test mutating func `one of two filters may be refused, and granted again`() {
        let consumer = fixture.consumer("a", "b")
        fixture.establish(consumer)
        _ = fixture.perform { $0.connectionEnded() + $0.sessionForgotten() + $0.restore() }
        #expect(fixture.perform { $0.subscribed(2, [1, 0x87], nil) }.contains(.refused("b")))
        #expect(consumer.ending == nil)
        _ = fixture.perform { $0.connectionEnded() }
        #expect(fixture.perform { $0.restore() } == [.subscribe(3, ["b"])])
        #expect(fixture.perform { $0.subscribed(3, [1], nil) }.last == .resubscribed(["b"]))
        #expect(!consumer.refuse("a", MQTTError(.operationRefused, "")))
    }

    @Test mutating func `suspected filters wait for their turn`() {
        _ = fixture.subscribe(fixture.consumer("a", "b"), isConnected: false)
        #expect(fixture.perform { $0.restore { $0 != "a" } } == [.subscribe(1, ["b"])])
        #expect(fixture.subscriber.askedFilters == ["b"])
    }

    // MARK: Limits

    @Test mutating func `what the broker's CONNACK rules out is not asked for`() {
        var properties = MQTTConnackProperties()
        properties.wildcardSubscriptionAvailable = false
        fixture.subscriber.connected(properties, usesIdentifiers: false)
        #expect(
            fixture.subscribe(fixture.consumer("a/#", "b")) == [
                .failed(1, .operationRefused, MQTTReasonCode.wildcardSubscriptionsNotSupported.rawValue),
                .subscribe(1, ["b"]),
            ])
    }

    @Test mutating func `a filter that is too large for the broker does not keep the others from it`() {
        var properties = MQTTConnackProperties()
        properties.maximumPacketSize = 30
        fixture.subscriber.connected(properties, usesIdentifiers: false)
        let long = MQTTSubscription(String(repeating: "x", count: 40))
        _ = fixture.subscribe(fixture.consumer(long), isConnected: false)
        _ = fixture.subscribe(fixture.consumer("a"), isConnected: false)
        let steps = fixture.perform { $0.restore() }
        #expect(steps == [.failed(1, .operationRefused, MQTTReasonCode.packetTooLarge.rawValue), .subscribe(3, ["a"])])
        #expect(!fixture.identifiers.isInUse(1))
        #expect(!fixture.identifiers.isInUse(2))
    }

    @Test mutating func `after a broker has closed over many filters there are fewer in a packet`() {
        _ = fixture.subscribe(fixture.consumer("a", "b", "c", "d", "e"))
        fixture.subscriber.halveFilters(of: 5)
        _ = fixture.perform { $0.connectionEnded() }
        #expect(
            fixture.perform { $0.restore() } == [
                .subscribe(2, ["a", "b"]), .subscribe(3, ["c", "d"]), .subscribe(4, ["e"]),
            ])
    }

    // MARK: UNSUBSCRIBE

    @Test mutating func `the end of a subscription resumes its call with the broker's answer`() {
        let consumer = fixture.consumer("a", "b")
        fixture.establish(consumer)
        let caller = fixture.caller()
        fixture.subscriber.end(consumer, caller)
        #expect(fixture.perform { $0.unsubscribe() } == [.unsubscribe(2, ["a", "b"])])
        #expect(fixture.perform { $0.finishCalls(isConnected: true) }.isEmpty)
        #expect(
            fixture.perform { $0.unsubscribed(2, [0, 0x11]) } == [
                .answered(.unsubscription("a")), .answered(.unsubscription("b")), .granted(2, [0, 0x11]),
            ])
        #expect(!fixture.identifiers.isInUse(2))
    }

    @Test mutating func `a filter that another consumer has stays`() {
        let consumer = fixture.consumer("a")
        fixture.establish(consumer)
        fixture.establish(fixture.consumer("a"))
        fixture.subscriber.end(consumer, fixture.caller())
        #expect(fixture.perform { $0.unsubscribe() }.isEmpty)
        #expect(fixture.perform { $0.finishCalls(isConnected: true) } == [.granted(3, [0])])
    }

    @Test mutating func `a filter that is subscribed to again before it was ended stays`() {
        fixture = Fixture(keepsFilters: true)
        let consumer = fixture.consumer("a")
        fixture.establish(consumer)
        _ = fixture.perform { $0.connectionEnded() }
        fixture.subscriber.end(consumer, fixture.caller())
        #expect(fixture.perform { $0.finishCalls(isConnected: false) }.isEmpty)
        #expect(fixture.subscribe(fixture.consumer("a"), isConnected: false) == [.granted(2, [0])])
    }

    @Test mutating func `without a connection there is nothing to end in a clean session`() {
        let consumer = fixture.consumer("a")
        fixture.establish(consumer)
        _ = fixture.perform { $0.connectionEnded() + $0.sessionForgotten() }
        fixture.subscriber.end(consumer, fixture.caller())
        #expect(fixture.perform { $0.finishCalls(isConnected: false) } == [.granted(2, [0x11])])
        #expect(fixture.perform { $0.unsubscribe() }.isEmpty)
    }

    @Test mutating func `an UNSUBSCRIBE without an answer is made again on the next connection`() {
        fixture = Fixture(keepsFilters: true)
        fixture.subscriber.end(["a"], fixture.caller())
        #expect(fixture.perform { $0.unsubscribe() } == [.unsubscribe(1, ["a"])])
        #expect(fixture.perform { $0.connectionEnded() }.isEmpty)
        #expect(!fixture.identifiers.isInUse(1))
        #expect(fixture.perform { $0.unsubscribe() } == [.unsubscribe(2, ["a"])])
        #expect(fixture.perform { $0.unsubscribed(2, []) }.last == .granted(1, [0]))
    }

    @Test mutating func `a filter that the broker has refused is not ended`() {
        let consumer = fixture.consumer("a", "b")
        _ = fixture.subscribe(consumer, acceptsRefusals: true)
        _ = fixture.perform { $0.subscribed(1, [1, 0x87], nil) }
        fixture.subscriber.end(consumer, fixture.caller())
        #expect(fixture.perform { $0.unsubscribe() } == [.unsubscribe(2, ["a"])])
        #expect(fixture.perform { $0.unsubscribed(2, [0]) }.last == .granted(2, [0, 0x11]))
    }

    @Test mutating func `a cancelled call is forgotten, and its UNSUBSCRIBE sent all the same`() {
        fixture.subscriber.end(["a"], fixture.caller())
        let caller = WaiterID(number: 1)
        let error = MQTTError(.cancelled, "")
        #expect(fixture.perform { $0.cancelUnsubscribing(caller, error) } == [.failed(1, .cancelled, nil)])
        #expect(fixture.perform { $0.unsubscribe() } == [.unsubscribe(1, ["a"])])
        #expect(fixture.perform { $0.unsubscribed(1, [0]) } == [.answered(.unsubscription("a"))])
    }

    @Test mutating func `suspected ends have packets of their own`() {
        fixture.subscriber.end(["a", "b", "c"], fixture.caller())
        #expect(fixture.perform { $0.unsubscribe { $0 == "c" } } == [.unsubscribe(1, ["c"])])
        #expect(
            fixture.perform { $0.unsubscribeOneByOne(2) { $0 != "c" } } == [
                .unsubscribe(2, ["a"]), .unsubscribe(3, ["b"]),
            ])
    }

    @Test mutating func `an end over which the broker closes fails its calls`() {
        fixture.subscriber.end(["a", "b"], fixture.caller())
        _ = fixture.perform { $0.unsubscribe() }
        let error = MQTTError(.endsConnection, "")
        #expect(fixture.perform { $0.giveUp(endOf: "a", error) } == [.failed(1, .endsConnection, nil)])
        _ = fixture.perform { $0.connectionEnded() }
        #expect(fixture.perform { $0.unsubscribe() } == [.unsubscribe(2, ["b"])])
    }

    // MARK: Persistent sessions

    @Test mutating func `in a persistent session a filter outlives its consumer`() {
        fixture = Fixture(keepsFilters: true)
        let consumer = fixture.consumer("a")
        fixture.establish(consumer)
        fixture.subscriber.remove(consumer)
        #expect(fixture.perform { $0.unsubscribe() }.isEmpty)
        #expect(fixture.subscriber.table.kept == ["a"])
        #expect(!fixture.subscriber.isEnded("a"))
    }

    @Test mutating func `what still comes for a filter that was ended is for nobody, until it is wanted again`() {
        fixture = Fixture(keepsFilters: true)
        fixture.subscriber.end(["a/#"], fixture.caller())
        #expect(fixture.subscriber.isEnded("a/1"))
        _ = fixture.subscribe(fixture.consumer("a/#"), isConnected: false)
        #expect(!fixture.subscriber.isEnded("a/1"))
    }

    @Test mutating func `a filter that the broker goes on with is not ended`() {
        fixture = Fixture(keepsFilters: true)
        fixture.subscriber.end(["a"], fixture.caller())
        _ = fixture.perform { $0.unsubscribe() }
        _ = fixture.perform { $0.unsubscribed(1, [0x87]) }
        #expect(!fixture.subscriber.isEnded("a"))
    }

    // MARK: Leaving

    @Test mutating func `a consumer that withdraws is unsubscribed, and still receives`() {
        fixture = Fixture(keepsFilters: true)
        let consumer = fixture.consumer("$share/g/a/#")
        fixture.establish(consumer)
        fixture.subscriber.withdraw(consumer, fixture.caller())
        #expect(fixture.perform { $0.unsubscribe() } == [.unsubscribe(2, ["$share/g/a/#"])])
        #expect(fixture.perform { $0.unsubscribed(2, [0]) }.last == .granted(2, [0]))
        #expect(fixture.subscriber.table.consumers(of: "a/1", []).first === consumer)
        // If the consumer leaves before it has all messages, the rest must not be acknowledged.
        #expect(!fixture.subscriber.isEnded("a/1"))
        fixture.subscriber.withdrawAgain(from: ["$share/g/a/#"], fixture.caller())
        #expect(fixture.perform { $0.unsubscribe() } == [.unsubscribe(3, ["$share/g/a/#"])])
        #expect(fixture.perform { $0.unsubscribed(3, [0x11]) }.last == .granted(3, [0x11]))
        #expect(!fixture.subscriber.isEnded("a/1"))
    }

    @Test mutating func `the filters of a consumer that has withdrawn are not restored`() {
        fixture = Fixture(keepsFilters: true)
        let consumer = fixture.consumer("a")
        fixture.establish(consumer)
        fixture.subscriber.withdraw(consumer, fixture.caller())
        _ = fixture.perform { $0.unsubscribe() }
        _ = fixture.perform { $0.connectionEnded() }
        // The UNSUBSCRIBE had no answer.
        #expect(fixture.perform { $0.unsubscribe() } == [.unsubscribe(3, ["a"])])
        #expect(fixture.perform { $0.restore() } == [])
    }

    // MARK: The end of the client

    @Test mutating func `the end of the client fails all calls, or begins them with nothing`() {
        let error = MQTTError(.stopped, "")
        let consumer = fixture.consumer("a")
        _ = fixture.subscribe(consumer)
        fixture.subscriber.end(["b"], fixture.caller())
        #expect(fixture.perform { $0.failUnsubscribing(error) } == [.failed(2, .stopped, nil)])
        #expect(fixture.perform { $0.fail(error, isQuiet: false) } == [.failed(1, .stopped, nil)])
        #expect(consumer.isFinished)
        _ = fixture.subscribe(fixture.consumer("c"))
        #expect(fixture.perform { $0.fail(error, isQuiet: true) } == [.granted(3, [])])
    }
}

// SPDX-License-Identifier: Apache-2.0

import Testing
import Turns

@testable import Mosquitto

@Suite(.turn(.units)) struct `What makes a broker end connections (core 7)` {
    private typealias Operation = Suspicion.Operation

    private func publish(_ topic: String) -> Operation {
        .publish(OutgoingPublish(topic: topic, payload: [], qos: .atLeastOnce, retain: false, properties: .init()))
    }

    /// A connection that ends because of these operations.
    private func end(_ suspicion: inout Suspicion, _ unanswered: Operation..., sent: Suspicion.Extent = .whole)
        -> [Operation]
    {
        suspicion.connected()
        return suspicion.ended(unanswered, sent: sent)
    }

    @Test func `an operation that is alone each time is convicted at the third end`() {
        for operation in [publish("a"), .subscription("a"), .unsubscription("a")] {
            var suspicion = Suspicion()
            #expect(end(&suspicion, operation).isEmpty)
            #expect(suspicion.isIsolating && suspicion.contains(operation))
            #expect(end(&suspicion, operation).isEmpty)
            #expect(end(&suspicion, operation) == [operation])
            #expect(suspicion.isEmpty && !suspicion.isIsolating)
        }
    }

    @Test func `an answer clears an operation for good`() {
        let operation = publish("a")
        var suspicion = Suspicion()
        for _ in 0..<9 {
            #expect(end(&suspicion, operation).isEmpty)
            #expect(end(&suspicion, operation).isEmpty)
            suspicion.connected()
            suspicion.answered(operation)
            #expect(suspicion.isEmpty)
        }
    }

    @Test func `an end with nothing under way accuses nobody`() {
        var suspicion = Suspicion()
        for _ in 0..<9 { #expect(end(&suspicion).isEmpty) }
        #expect(suspicion.isEmpty)
    }

    @Test func `two publishes of the same topic are told apart`() {
        let (one, other) = (publish("a"), publish("a"))
        var suspicion = Suspicion()
        #expect(end(&suspicion, one).isEmpty)
        #expect(!suspicion.contains(other))
    }

    @Test func `the oldest publish is not convicted as long as it was not alone`() {
        let (good, bad) = (publish("good"), publish("bad"))
        var suspicion = Suspicion()
        for _ in 0..<9 { #expect(end(&suspicion, good, bad).isEmpty) }
        suspicion.connected()
        suspicion.answered(good)
        // Its first end, although it was not alone, would have counted if it had been the oldest.
        #expect(suspicion.ended([bad]).isEmpty)
        #expect(end(&suspicion, bad).isEmpty)
        #expect(end(&suspicion, bad) == [bad])
    }

    @Test func `each of several filters is accused by the first end, and then one that is alone`() {
        let (good, bad) = (Operation.subscription("good"), Operation.subscription("bad"))
        var suspicion = Suspicion()
        #expect(end(&suspicion, good, bad).isEmpty)
        suspicion.connected()
        suspicion.answered(good)
        #expect(suspicion.ended([bad]).isEmpty)
        #expect(end(&suspicion, bad) == [bad])
    }

    @Test func `bytes that were not all sent speak for a publish that was alone`() {
        let operation = publish("large")
        var suspicion = Suspicion()
        for _ in 0..<20 { #expect(end(&suspicion, operation, sent: .delayed).isEmpty) }
        #expect(suspicion.isEmpty)
    }

    @Test func `a publish that the broker never reads whole is convicted late, if each end comes at once`() {
        let operation = publish("large")
        var suspicion = Suspicion()
        for _ in 0..<11 { #expect(end(&suspicion, operation, sent: .begun).isEmpty) }
        #expect(end(&suspicion, operation, sent: .begun) == [operation])
    }

    @Test func `of several publishes, of which the last was not all sent, each is a suspect, and none accused`() {
        let (first, last) = (publish("first"), publish("last"))
        var suspicion = Suspicion()
        #expect(end(&suspicion, first, last, sent: .begun).isEmpty)
        #expect(suspicion.isIsolating)
        for _ in 0..<2 { #expect(end(&suspicion, first).isEmpty) }
        #expect(end(&suspicion, first) == [first])
        #expect(suspicion.contains(last))
    }

    @Test func `after a first end, answers double the suspects that go at once`() {
        let operations = (0..<10).map { publish("\($0)") }
        var suspicion = Suspicion()
        suspicion.connected()
        #expect(suspicion.ended(operations).isEmpty)
        suspicion.connected()
        var allowed: [Int] = []
        for operation in operations.dropLast() {
            suspicion.answered(operation)
            allowed.append(suspicion.allowed)
        }
        #expect(allowed == [2, 2, 4, 4, 4, 4, 8, 8, 8])
        suspicion.connected()
        #expect(suspicion.allowed == 1)
    }

    @Test func `after a second end, suspects go one at a time until all are answered`() {
        let operations = (0..<10).map { publish("\($0)") }
        var suspicion = Suspicion()
        _ = suspicion.ended(operations)
        suspicion.connected()
        suspicion.answered(operations[0])
        _ = suspicion.ended(Array(operations[1...2]))
        suspicion.connected()
        for operation in operations[1...] {
            #expect(suspicion.isIsolating && suspicion.allowed == 1)
            suspicion.answered(operation)
        }
        #expect(!suspicion.isIsolating)
    }

    @Test func `answers to what is no suspect change nothing`() {
        var suspicion = Suspicion()
        _ = end(&suspicion, publish("suspect"))
        suspicion.connected()
        for _ in 0..<9 { suspicion.answered(publish("other")) }
        #expect(suspicion.allowed == 1 && suspicion.isIsolating)
    }

    @Test func `a broker that neither answers nor ends is not waited for, until the next connection`() {
        let operation = publish("a")
        var suspicion = Suspicion()
        _ = end(&suspicion, operation)
        suspicion.connected()
        suspicion.release()
        #expect(!suspicion.isIsolating && suspicion.contains(operation))
        suspicion.connected()
        #expect(suspicion.isIsolating)
    }

    @Test func `what is not made any more is forgotten`() {
        var suspicion = Suspicion()
        _ = end(&suspicion, .subscription("a"), .unsubscription("b"), publish("c"))
        #expect(suspicion.hasFilters)
        suspicion.forgetFilters()
        #expect(!suspicion.hasFilters && suspicion.isIsolating)
        suspicion.forgetPublishes()
        #expect(suspicion.isEmpty)
    }

    @Test(arguments: [UInt8(0x80), 0x81, 0x82, 0x83, 0x87, 0x8F, 0x90, 0x95, 0x99, 0x9A, 0x9B, 0x9E, 0xA1, 0xA2])
    func `a DISCONNECT that may be about an operation`(code: UInt8) {
        #expect(MQTTError.disconnect(MQTTReasonCode(rawValue: code), reference: nil).mayConcernOperation)
    }

    @Test(arguments: [UInt8(0), 0x89, 0x8B, 0x8D, 0x8E, 0x93, 0x96, 0x97, 0x98, 0x9C, 0x9D, 0x9F, 0xA0])
    func `a DISCONNECT that is about the broker or the client as a whole`(code: UInt8) {
        #expect(!MQTTError.disconnect(MQTTReasonCode(rawValue: code), reference: nil).mayConcernOperation)
    }

    @Test func `a close and a reset may be about an operation, and no failure of this side or the network`() {
        #expect(MQTTError(.closed, "closed").mayConcernOperation)
        var error = MQTTError(.closed, "lost")
        error.systemCode = 104
        #if os(Linux)
        #expect(error.mayConcernOperation)
        #endif
        // EIO, which is not an answer of the peer.
        error.systemCode = 5
        #expect(!error.mayConcernOperation)
        for code in [MQTTError.Code.keepAliveTimeout, .protocolViolation, .library, .system, .tlsProtocol] {
            #expect(!MQTTError(code, "lost").mayConcernOperation)
        }
    }

    @Test func `six ends without a word convict, if no end of another kind came in between`() {
        let operation = Operation.subscription("a")
        var suspicion = Suspicion()
        for _ in 0..<5 { #expect(suspicion.ended([operation], isWordless: true).isEmpty) }
        // A cut network also ends attempts, and connections without operations in progress.
        suspicion.acquit()
        for _ in 0..<5 { #expect(suspicion.ended([operation], isWordless: true).isEmpty) }
        #expect(suspicion.ended([], isWordless: true).isEmpty)
        for _ in 0..<5 { #expect(suspicion.ended([operation], isWordless: true).isEmpty) }
        #expect(suspicion.ended([operation], isWordless: true) == [operation])
    }
}

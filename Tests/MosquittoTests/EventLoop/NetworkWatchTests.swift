// SPDX-License-Identifier: Apache-2.0

import MosquittoTesting
import Testing
import Turns

@testable import Mosquitto

@Suite(.turn(.units)) struct `A watch over the network` {
    private typealias Machine = NetworkWatchStateMachine

    /// A machine with a clock of its own, which tells what its clients are told, and when.
    private struct Trace {
        var machine = Machine()
        let start = ContinuousClock.now
        var now: ContinuousClock.Instant
        var due: ContinuousClock.Instant?
        var told: [(change: MQTTNetworkChange, at: Duration)] = []

        init() { now = start }

        mutating func receive(_ message: NetlinkMessage) { schedule(machine.received(message, now: now)) }

        mutating func schedule(_ delay: Duration?) {
            guard let delay else { return }
            #expect(due == nil, "one timer at a time")
            due = now + delay
        }

        mutating func pass(_ time: Duration) {
            let end = now + time
            while let due, due <= end {
                now = due
                self.due = nil
                if let change = machine.timerFired(now: now) { told.append((change, now - start)) }
            }
            now = end
        }

        /// Lets an interface go and come back.
        mutating func flap(_ index: Int32 = 2) {
            receive(.link(index: index, isRunning: false, isInitial: false))
            receive(.link(index: index, isRunning: true, isInitial: false))
        }
    }

    @Test func `tells once of all that comes back together, and names the most telling part`() {
        var trace = Trace()
        trace.receive(.link(index: 2, isRunning: true, isInitial: false))
        trace.pass(.milliseconds(100))
        trace.receive(.routeAdded)
        trace.receive(.addressAdded)
        trace.pass(.seconds(10))
        #expect(trace.told.map(\.change) == [.route])
        #expect(trace.told.map(\.at) == [.milliseconds(250)])
    }

    @Test func `knows the interfaces that work already`() {
        var trace = Trace()
        trace.receive(.link(index: 1, isRunning: true, isInitial: true))
        trace.receive(.link(index: 2, isRunning: false, isInitial: true))
        // Another of its attributes has changed.
        trace.receive(.link(index: 1, isRunning: true, isInitial: false))
        trace.receive(.link(index: 2, isRunning: false, isInitial: false))
        trace.pass(.seconds(10))
        #expect(trace.told.isEmpty)
        trace.receive(.link(index: 2, isRunning: true, isInitial: false))
        trace.pass(.seconds(10))
        #expect(trace.told.map(\.change) == [.link])
    }

    @Test func `says nothing of what goes`() {
        var trace = Trace()
        trace.receive(.link(index: 1, isRunning: true, isInitial: true))
        trace.receive(.link(index: 1, isRunning: false, isInitial: false))
        trace.receive(.linkRemoved(index: 1))
        trace.pass(.seconds(10))
        #expect(trace.told.isEmpty)
        // A new interface of that number.
        trace.receive(.link(index: 1, isRunning: true, isInitial: false))
        trace.pass(.seconds(10))
        #expect(trace.told.count == 1)
    }

    @Test func `tells later what comes too early, and loses nothing`() {
        var trace = Trace()
        trace.receive(.link(index: 2, isRunning: true, isInitial: false))
        trace.pass(.seconds(1))
        trace.receive(.addressAdded)
        trace.pass(.seconds(1))
        trace.receive(.routeAdded)
        trace.pass(.seconds(10))
        #expect(trace.told.map(\.change) == [.link, .route])
        #expect(trace.told.last?.at == .milliseconds(5_250))
    }

    @Test func `of an interface that comes and goes for an hour tells a few times`() {
        var trace = Trace()
        for _ in 0..<36_000 {
            trace.flap()
            trace.pass(.milliseconds(100))
        }
        let gaps = zip(trace.told.dropFirst(), trace.told).map { $0.at - $1.at }
        #expect(trace.told.count <= 20, "\(trace.told.count)")
        #expect(gaps.prefix(3) == [.seconds(5), .seconds(10), .seconds(20)])
        #expect(gaps.allSatisfy { $0 <= .seconds(300) })
        #expect(gaps.last == .seconds(300))
    }

    @Test func `starts anew after a quiet minute`() {
        var trace = Trace()
        for _ in 0..<600 {
            trace.flap()
            trace.pass(.milliseconds(100))
        }
        trace.pass(.seconds(400))
        let before = trace.told.count
        trace.flap()
        trace.pass(.seconds(1))
        trace.flap()
        trace.pass(.seconds(10))
        let last = trace.told.dropFirst(before).map(\.at)
        #expect(last.count == 2)
        #expect(last[1] - last[0] == .seconds(5))
    }

    @Test func `takes lost notifications for a change`() {
        var trace = Trace()
        trace.schedule(trace.machine.lost(now: trace.now))
        trace.pass(.seconds(1))
        #expect(trace.told.map(\.change) == [.unknown])
    }

    @Test func `does not rely on what it knew before notifications were lost`() {
        var trace = Trace()
        trace.receive(.link(index: 2, isRunning: true, isInitial: true))
        // One of the lost notifications said that the interface has no carrier.
        trace.schedule(trace.machine.lost(now: trace.now))
        trace.pass(.seconds(10))
        trace.receive(.link(index: 2, isRunning: true, isInitial: false))
        trace.pass(.seconds(10))
        #expect(trace.told.map(\.change) == [.unknown, .link])
    }

    #if os(Linux)
    private final class Observer: NetworkObserver {
        func networkChanged(_ change: MQTTNetworkChange) {}
    }

    /// Runs jobs on the loop.
    private actor Worker {
        private nonisolated let loop: MosquittoEventLoop

        init(_ loop: MosquittoEventLoop) { self.loop = loop }

        nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

        func watch(_ observers: [Observer]) throws {
            for observer in observers { try loop.core.watchNetwork(for: observer) }
        }

        func unwatch(_ observers: [Observer]) {
            for observer in observers { loop.core.unwatchNetwork(for: observer) }
        }
    }

    @Test func `is one for all clients of a loop, begins with the first of them and ends with the last`() async throws {
        let worker = Worker(MosquittoEventLoop())
        let observers = [Observer(), Observer(), Observer()]
        for _ in 0..<3 {
            try await worker.watch(observers)
            try await worker.watch(observers)
            await worker.unwatch(Array(observers.dropFirst()))
            await worker.unwatch(observers)
            await worker.unwatch(observers)
        }
    }
    #endif
}

// SPDX-License-Identifier: Apache-2.0

import Testing
import Turns

@testable import Mosquitto

@Suite(.turn(.units)) struct `The decisions of a consumer group` {
    private struct Failure: Error {}

    /// A machine whose members consume.
    private func running(_ count: Int) -> ConsumerGroupStateMachine {
        var machine = ConsumerGroupStateMachine(target: count)
        _ = machine.start()
        for index in 0..<count { machine.joined(index) }
        return machine
    }

    @Test func `a start begins all members, and settles when each one consumes`() {
        var machine = ConsumerGroupStateMachine(target: 2)
        #expect(machine.start() == [.start(0), .start(1)])
        #expect(machine.start() == [])
        machine.joined(0)
        #expect(!machine.isSettled)
        machine.joined(1)
        #expect(machine.isSettled)
    }

    @Test func `a number that is set before the start is the one of the start`() {
        var machine = ConsumerGroupStateMachine(target: 2)
        #expect(machine.scale(to: 1) == [])
        #expect(machine.start() == [.start(0)])
    }

    @Test func `more members begin with the next numbers`() {
        var machine = running(2)
        #expect(machine.scale(to: 4) == [.start(2), .start(3)])
        machine.joined(3)
        #expect(!machine.isSettled)
        machine.joined(2)
        #expect(machine.isSettled)
    }

    @Test func `of fewer members the highest numbers leave, and the group settles when they have ended`() {
        var machine = running(3)
        #expect(machine.scale(to: 1) == [.leave(1), .leave(2)])
        #expect(machine.members == [0: .consuming, 1: .leaving, 2: .leaving])
        #expect(machine.ended(2) == [])
        #expect(!machine.isSettled)
        #expect(machine.ended(1) == [])
        #expect(machine.isSettled)
    }

    @Test func `a member that is wanted again while it leaves begins when it has ended`() {
        var machine = running(2)
        _ = machine.scale(to: 1)
        #expect(machine.scale(to: 2) == [])
        #expect(!machine.isSettled)
        #expect(machine.ended(1) == [.start(1)])
    }

    @Test func `a member that leaves is told once`() {
        var machine = running(3)
        #expect(machine.scale(to: 2) == [.leave(2)])
        #expect(machine.scale(to: 1) == [.leave(1)])
    }

    @Test func `a member that could not leave is no failure of the group, and is reported once`() {
        var machine = running(2)
        _ = machine.scale(to: 1)
        #expect(machine.ended(1, Failure()) == [])
        #expect(machine.isSettled)
        #expect(machine.failure == nil)
        #expect(machine.takeLeavingError() is Failure)
        #expect(machine.takeLeavingError() == nil)
    }

    @Test func `a member that could not leave ends the group if the bodies of all others have returned`() {
        var machine = running(2)
        #expect(machine.ended(0) == [])
        #expect(machine.scale(to: 1) == [.leave(1)])
        #expect(machine.ended(1, Failure()) == [.finish])
        #expect(machine.failure is Failure)
    }

    @Test func `a shutdown retires all members, also those that leave, and ends with the last one`() {
        var machine = running(2)
        _ = machine.scale(to: 1)
        #expect(machine.shutDown() == [.retire(0), .retire(1)])
        #expect(machine.shutDown() == [])
        #expect(machine.ended(1) == [])
        #expect(machine.ended(0) == [.finish])
        #expect(machine.hasEnded)
        #expect(machine.failure == nil)
    }

    @Test func `a member that fails shuts the others down, and its error is that of the group`() {
        var machine = running(3)
        #expect(machine.ended(1, Failure()) == [.retire(0), .retire(2)])
        #expect(machine.ended(0, MQTTError(.stopped, "later")) == [])
        #expect(machine.ended(2) == [.finish])
        #expect(machine.failure is Failure)
    }

    @Test func `a member that fails alone ends the group`() {
        var machine = running(1)
        #expect(machine.ended(0, Failure()) == [.finish])
    }

    @Test func `a member whose body returns does not begin again, and the last one ends the group`() {
        var machine = running(2)
        #expect(machine.ended(1) == [])
        #expect(machine.isSettled)
        #expect(machine.scale(to: 2) == [])
        #expect(machine.ended(0) == [.finish])
        #expect(machine.failure == nil)
    }

    @Test func `without members a group waits`() {
        var machine = running(1)
        #expect(machine.scale(to: 0) == [.leave(0)])
        #expect(machine.ended(0) == [])
        #expect(machine.isSettled)
        #expect(machine.scale(to: 1) == [.start(0)])
        #expect(machine.shutDown() == [.retire(0)])
        #expect(machine.ended(0) == [.finish])
    }

    @Test func `a shutdown before the start ends the group at once`() {
        var machine = ConsumerGroupStateMachine(target: 2)
        #expect(machine.shutDown() == [.finish])
        #expect(machine.start() == [])
        #expect(machine.ended(0) == [])
    }

    @Test func `a cancellation ends the group`() {
        var machine = running(2)
        machine.cancelled()
        #expect(machine.hasEnded && machine.members.isEmpty)
        #expect(machine.ended(0) == [])
    }
}

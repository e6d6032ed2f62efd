// SPDX-License-Identifier: Apache-2.0

import Testing
import Turns

@testable import Mosquitto

#if canImport(Glibc)
import Glibc
import Foundation

@Suite(.turn(.units)) struct `A poller` {
    private func waited(_ poller: Poller, until limit: Poller.Limit) -> Duration {
        let start = ContinuousClock.now
        poller.wait(until: limit) { _, _ in Issue.record("nobody is watched") }
        return ContinuousClock.now - start
    }

    /// The file in which the kernel describes a descriptor.
    private func description(_ descriptor: Int32) throws -> String {
        try String(contentsOfFile: "/proc/self/fdinfo/\(descriptor)", encoding: .utf8)
    }

    @Test func `has an alarm of the clock that goes on while the machine is suspended (core 18)`() throws {
        let poller = try #require(Poller())
        defer { poller.close() }
        let alarm = try #require(poller.alarm)
        // CLOCK_BOOTTIME
        #expect(try description(alarm.descriptor).contains("clockid: 7\n"))
    }

    @Test func `ends a wait by the alarm, never early (core 18)`() throws {
        let poller = try #require(Poller())
        defer { poller.close() }
        for milliseconds in [1, 20, 3] {
            let deadline = ContinuousClock.now + .milliseconds(milliseconds)
            _ = waited(poller, until: .at(deadline))
            #expect(ContinuousClock.now >= deadline)
        }
        #expect(waited(poller, until: .at(.now - .seconds(1))) < .seconds(5))
        #expect(waited(poller, until: .now) < .seconds(5))
    }

    @Test func `an earlier deadline takes the place of a later one, and a later one of one that was dropped (core 18)`()
        throws
    {
        let poller = try #require(Poller())
        defer { poller.close() }
        let start = ContinuousClock.now
        poller.wake()
        _ = waited(poller, until: .at(start + .seconds(60)))
        _ = waited(poller, until: .at(start + .milliseconds(30)))
        #expect(ContinuousClock.now - start < .seconds(30))
        // The alarm of a timer that is set and cancelled fires once without effect.
        poller.wake()
        _ = waited(poller, until: .at(.now + .milliseconds(10)))
        let deadline = ContinuousClock.now + .milliseconds(50)
        var waits = 0
        while ContinuousClock.now < deadline {
            _ = waited(poller, until: .at(deadline))
            waits += 1
        }
        #expect(waits <= 3)
    }

    @Test func `is woken while it has nothing to wait for`() throws {
        let poller = try #require(Poller())
        defer { poller.close() }
        poller.wake()
        #expect(waited(poller, until: .never) < .seconds(30))
    }
}

@Suite(.turn(.units)) struct `Descriptors of the library` {
    private func isInherited(_ descriptor: Int32) -> Bool { fcntl(descriptor, F_GETFD) & FD_CLOEXEC == 0 }

    @Test func `are closed on exec, and never block (core 32)`() throws {
        let (first, second) = try #require(StreamSocket.pair(bufferSize: 4_096))
        let other = try StreamSocket(connectingTo: "127.0.0.1", port: 1)
        for descriptor in [first.descriptor, second.descriptor, other.descriptor] {
            #expect(!isInherited(descriptor))
            #expect(fcntl(descriptor, F_GETFL) & O_NONBLOCK != 0)
        }
        for socket in [first, second, other] { socket.close() }
        let poller = try #require(Poller())
        let alarm = try #require(poller.alarm)
        #expect(!isInherited(alarm.descriptor))
        poller.close()
    }
}
#endif

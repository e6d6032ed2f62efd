// SPDX-License-Identifier: Apache-2.0

import Testing
import Turns

@testable import Mosquitto

#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Foundation
import Glibc
#endif

@Suite(.turn(.units)) struct `A poller` {
    private func waited(_ poller: Poller, until limit: Poller.Limit) -> Duration {
        let start = ContinuousClock.now
        poller.wait(until: limit) { _, _ in Issue.record("nobody is watched") }
        return ContinuousClock.now - start
    }

    #if canImport(Glibc)
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
    #endif

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

    @Test func `is woken while it has nothing to wait for, once for each call`() throws {
        let poller = try #require(Poller())
        defer { poller.close() }
        poller.wake()
        #expect(waited(poller, until: .never) < .seconds(30))
        let deadline = ContinuousClock.now + .milliseconds(20)
        while ContinuousClock.now < deadline { _ = waited(poller, until: .at(deadline)) }
        poller.wake()
        #expect(waited(poller, until: .never) < .seconds(30))
    }

    /// The events of a wait for the socket with the token 1, which ends at once.
    private func events(_ poller: Poller) -> PollEvents {
        var all: PollEvents = []
        poller.wait(until: .now) { token, events in
            #expect(token == 1)
            all.formUnion(events)
        }
        return all
    }

    @Test func `reports what a socket is watched for, and nothing after it is removed`() throws {
        let poller = try #require(Poller())
        defer { poller.close() }
        let (mine, peers) = try #require(StreamSocket.pair(bufferSize: 4_096))
        #expect(poller.add(mine.descriptor, token: 1, interest: .writable))
        #expect(events(poller) == .writable)
        #expect(poller.modify(mine.descriptor, token: 1, interest: .readable))
        #expect(events(poller) == [])
        _ = [7].withUnsafeBytes { peers.send($0) }
        #expect(events(poller) == .readable)
        #expect(poller.modify(mine.descriptor, token: 1, interest: [.readable, .writable]))
        #expect(events(poller) == [.readable, .writable])
        poller.remove(mine.descriptor)
        #expect(events(poller) == [])
        for socket in [mine, peers] { socket.close() }
    }

    @Test func `reports the end of the peer's stream, but no bytes, while reading is paused`() throws {
        let poller = try #require(Poller())
        defer { poller.close() }
        let (mine, peers) = try #require(StreamSocket.pair(bufferSize: 4_096))
        #expect(poller.add(mine.descriptor, token: 1, interest: .finished))
        _ = [7].withUnsafeBytes { peers.send($0) }
        #expect(events(poller) == [])
        peers.finishWriting()
        #expect(events(poller).contains(.finished))
        for socket in [mine, peers] { socket.close() }
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
            #if canImport(Darwin)
            #expect(fcntl(descriptor, F_GETNOSIGPIPE) == 1)
            #endif
        }
        for socket in [first, second, other] { socket.close() }
        #if canImport(Glibc)
        let poller = try #require(Poller())
        let alarm = try #require(poller.alarm)
        #expect(!isInherited(alarm.descriptor))
        poller.close()
        #endif
    }
}

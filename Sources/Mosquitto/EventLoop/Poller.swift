// SPDX-License-Identifier: Apache-2.0

import CMosquittoShim

#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The events of a socket.
struct PollEvents: OptionSet {
    let rawValue: UInt8

    static let readable = PollEvents(rawValue: 1)
    static let writable = PollEvents(rawValue: 2)
    /// An error or a hang-up; the next system call on the socket returns the error.
    static let failed = PollEvents(rawValue: 4)
    /// The peer has closed its side. Watched while reading is paused (Linux only: kqueue reports it with readability).
    static let finished = PollEvents(rawValue: 8)
}

/// Level-triggered readiness of sockets: epoll on Linux, kqueue on Darwin. Used on the loop's thread only, except for
/// ``wake()``.
///
/// A wait ends on time even if the machine was suspended meanwhile. `ContinuousClock`, the clock of the timers,
/// continues during a suspension (`CLOCK_BOOTTIME`); the timeouts of `epoll_wait` and `kevent` do not, and each timer
/// would be late by the rest of the wait. On Linux an alarm of the same clock ends the wait; elsewhere a wait is no
/// longer than ``longestWait``.
struct Poller {
    /// The time limit of a wait.
    enum Limit {
        case now, never
        case at(ContinuousClock.Instant)
    }

    /// Upper bound of a timer's delay after a suspension on systems without an alarm.
    static let longestWait = Duration.seconds(5)

    private let descriptor: Int32
    private let wakeUp: WakeUp
    /// The token of the wake-up descriptor.
    private static let wakeToken = UInt64.max
    private static let alarmToken = UInt64.max - 1
    private static let batch = 256
    #if !canImport(Darwin)
    /// `nil` if the system has no alarm.
    let alarm: Alarm?
    #endif

    #if canImport(Darwin)
    private typealias Event = kevent
    #else
    private typealias Event = epoll_event
    #endif
    private let buffer = UnsafeMutableBufferPointer<Event>.allocate(capacity: batch)

    /// Returns `nil` if no file descriptor is available.
    init?() {
        guard let wakeUp = WakeUp() else {
            buffer.deallocate()
            return nil
        }
        #if canImport(Darwin)
        descriptor = kqueue()
        #else
        descriptor = epoll_create1(Int32(EPOLL_CLOEXEC))
        #endif
        guard descriptor >= 0 else {
            wakeUp.close()
            buffer.deallocate()
            return nil
        }
        self.wakeUp = wakeUp
        #if !canImport(Darwin)
        alarm = Alarm()
        if let alarm { add(alarm.descriptor, token: Self.alarmToken, interest: .readable) }
        #endif
        add(wakeUp.readEnd, token: Self.wakeToken, interest: .readable)
    }

    /// Ends the current ``wait(until:_:)``, or the next one. May be called on any thread.
    func wake() { wakeUp.signal() }

    func close() {
        wakeUp.close()
        #if !canImport(Darwin)
        if let alarm { closeDescriptor(alarm.descriptor) }
        #endif
        closeDescriptor(descriptor)
        buffer.deallocate()
    }

    /// Returns the remaining time, at most ``longestWait``.
    private static func capped(_ deadline: ContinuousClock.Instant) -> Duration {
        min(max(.zero, deadline - .now), longestWait)
    }

    #if canImport(Darwin)
    @discardableResult
    func add(_ socket: Int32, token: UInt64, interest: PollEvents) -> Bool {
        modify(socket, token: token, interest: interest)
    }

    @discardableResult
    func modify(_ socket: Int32, token: UInt64, interest: PollEvents) -> Bool {
        func change(_ filter: Int32, _ on: Bool) -> Bool {
            var event = kevent(
                ident: UInt(socket), filter: Int16(filter), flags: UInt16(on ? EV_ADD : EV_DELETE), fflags: 0, data: 0,
                udata: UnsafeMutableRawPointer(bitPattern: UInt(token)))
            return kevent(descriptor, &event, 1, nil, 0, nil) == 0 || !on
        }
        let read = change(EVFILT_READ, interest.contains(.readable))
        return change(EVFILT_WRITE, interest.contains(.writable)) && read
    }

    func remove(_ socket: Int32) { modify(socket, token: 0, interest: []) }

    func wait(until limit: Limit, _ body: (UInt64, PollEvents) -> Void) {
        let timeout: Duration? =
            switch limit {
            case .now: .zero
            case .never: nil
            case .at(let deadline): Self.capped(deadline)
            }
        var time = timespec()
        if let timeout {
            time.tv_sec = Int(timeout.components.seconds)
            time.tv_nsec = Int(timeout.components.attoseconds / 1_000_000_000)
        }
        let count =
            timeout == nil
            ? kevent(descriptor, nil, 0, buffer.baseAddress, Int32(buffer.count), nil)
            : kevent(descriptor, nil, 0, buffer.baseAddress, Int32(buffer.count), &time)
        for index in 0..<max(0, Int(count)) {
            let event = buffer[index]
            let token = UInt64(UInt(bitPattern: event.udata))
            if token == Self.wakeToken {
                wakeUp.clear()
                continue
            }
            var ready: PollEvents = event.filter == Int16(EVFILT_WRITE) ? .writable : .readable
            if Int32(event.flags) & EV_EOF != 0, event.fflags != 0 { ready.insert(.failed) }
            body(token, ready)
        }
    }
    #else
    @discardableResult
    func add(_ socket: Int32, token: UInt64, interest: PollEvents) -> Bool {
        control(EPOLL_CTL_ADD, socket, token, interest)
    }

    @discardableResult
    func modify(_ socket: Int32, token: UInt64, interest: PollEvents) -> Bool {
        control(EPOLL_CTL_MOD, socket, token, interest)
    }

    func remove(_ socket: Int32) { control(EPOLL_CTL_DEL, socket, 0, []) }

    @discardableResult
    private func control(_ operation: Int32, _ socket: Int32, _ token: UInt64, _ interest: PollEvents) -> Bool {
        var event = epoll_event()
        if interest.contains(.readable) { event.events |= EPOLLIN.rawValue | EPOLLRDHUP.rawValue }
        if interest.contains(.finished) { event.events |= EPOLLRDHUP.rawValue }
        if interest.contains(.writable) { event.events |= EPOLLOUT.rawValue }
        // Each write to the wake-up and each expiry of the alarm is an edge, so that neither must be read.
        if token >= Self.alarmToken { event.events |= EPOLLET.rawValue }
        event.data.u64 = token
        return epoll_ctl(descriptor, operation, socket, &event) == 0
    }

    func wait(until limit: Limit, _ body: (UInt64, PollEvents) -> Void) {
        let count = epoll_wait(descriptor, buffer.baseAddress, Int32(buffer.count), timeout(limit))
        for index in 0..<max(0, Int(count)) {
            let event = buffer[index]
            if event.data.u64 >= Self.alarmToken {
                if event.data.u64 == Self.alarmToken { alarm?.hasRung() }
                continue
            }
            var ready: PollEvents = []
            if event.events & (EPOLLIN.rawValue | EPOLLRDHUP.rawValue) != 0 { ready.insert(.readable) }
            if event.events & EPOLLRDHUP.rawValue != 0 { ready.insert(.finished) }
            if event.events & EPOLLOUT.rawValue != 0 { ready.insert(.writable) }
            if event.events & (EPOLLERR.rawValue | EPOLLHUP.rawValue) != 0 { ready.insert(.failed) }
            body(event.data.u64, ready)
        }
    }

    /// Returns the timeout for `epoll_wait`, and sets the alarm if a timeout cannot express the limit.
    private func timeout(_ limit: Limit) -> Int32 {
        switch limit {
        case .now: return 0
        case .never: return -1
        case .at(let deadline):
            if let alarm, alarm.set(deadline) { return -1 }
            return Self.milliseconds(Self.capped(deadline))
        }
    }

    /// Rounds up, so that a timer never fires early and is never polled for.
    static func milliseconds(_ duration: Duration) -> Int32 {
        let (seconds, attoseconds) = duration.components
        if seconds < 0 { return 0 }
        return Int32(
            clamping: min(seconds, 86_400) * 1_000 + (attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000)
    }
    #endif
}

#if !canImport(Darwin)
/// A `timerfd` of the clock that continues while the machine is suspended.
final class Alarm {
    let descriptor: Int32
    /// The time at which the alarm fires; `nil` if it is not set.
    private var time: ContinuousClock.Instant?

    init?() {
        descriptor = timerfd_create(CLOCK_BOOTTIME, Int32(TFD_NONBLOCK) | Int32(TFD_CLOEXEC))
        if descriptor < 0 { return nil }
    }

    /// Sets the alarm to fire by `deadline`. An earlier setting is kept: its timer has usually been cancelled, and a
    /// needless wake-up costs less than a system call for each change. Returns true if the alarm will fire; a deadline
    /// that has passed needs no alarm.
    func set(_ deadline: ContinuousClock.Instant) -> Bool {
        if let time, time <= deadline { return true }
        let rest = deadline - .now
        if rest <= .zero { return false }
        let milliseconds = Int(Poller.milliseconds(rest))
        var setting = itimerspec()
        setting.it_value.tv_sec = milliseconds / 1_000
        setting.it_value.tv_nsec = milliseconds % 1_000 * 1_000_000
        guard timerfd_settime(descriptor, 0, &setting, nil) == 0 else { return false }
        time = deadline
        return true
    }

    func hasRung() { time = nil }
}
#endif

/// Wakes the loop's thread: an eventfd on Linux, a pipe elsewhere.
private struct WakeUp {
    let readEnd: Int32
    private let writeEnd: Int32

    init?() {
        #if canImport(Darwin)
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { return nil }
        for end in ends {
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
        }
        (readEnd, writeEnd) = (ends[0], ends[1])
        #else
        let descriptor = eventfd(0, Int32(EFD_NONBLOCK | EFD_CLOEXEC))
        guard descriptor >= 0 else { return nil }
        (readEnd, writeEnd) = (descriptor, descriptor)
        #endif
    }

    func signal() {
        var one: UInt64 = 1
        _ = write(writeEnd, &one, 8)
    }

    #if canImport(Darwin)
    func clear() {
        var count: UInt64 = 0
        while read(readEnd, &count, 8) > 0 {}
    }
    #endif

    func close() {
        closeDescriptor(readEnd)
        if writeEnd != readEnd { closeDescriptor(writeEnd) }
    }
}

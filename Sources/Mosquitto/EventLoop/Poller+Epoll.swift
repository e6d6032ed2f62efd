// SPDX-License-Identifier: Apache-2.0

#if !canImport(Darwin)
import CMosquittoShim

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Level-triggered readiness of sockets, by epoll. Used on the loop's thread only, except for ``wake()``.
///
/// A wait ends on time even if the machine was suspended meanwhile. `ContinuousClock`, the clock of the timers,
/// continues during a suspension (`CLOCK_BOOTTIME`); the timeout of `epoll_wait` does not, and each timer would be late
/// by the rest of the wait. An alarm of the same clock ends the wait; without one, a wait is no longer than
/// ``longestWait``.
struct Poller {
    private let descriptor: Int32
    /// An eventfd.
    private let wakeUp: Int32
    private static let wakeToken = UInt64.max
    private static let alarmToken = UInt64.max - 1
    private static let batch = 256
    /// `nil` if the system has no alarm.
    let alarm: Alarm?
    private let buffer = UnsafeMutableBufferPointer<epoll_event>.allocate(capacity: batch)

    /// Returns `nil` if no file descriptor is available.
    init?() {
        wakeUp = eventfd(0, Int32(EFD_NONBLOCK | EFD_CLOEXEC))
        guard wakeUp >= 0 else {
            buffer.deallocate()
            return nil
        }
        descriptor = epoll_create1(Int32(EPOLL_CLOEXEC))
        guard descriptor >= 0 else {
            closeDescriptor(wakeUp)
            buffer.deallocate()
            return nil
        }
        alarm = Alarm()
        if let alarm { add(alarm.descriptor, token: Self.alarmToken, interest: .readable) }
        add(wakeUp, token: Self.wakeToken, interest: .readable)
    }

    /// Ends the current ``wait(until:_:)``, or the next one. May be called on any thread.
    func wake() {
        var one: UInt64 = 1
        _ = write(wakeUp, &one, 8)
    }

    func close() {
        closeDescriptor(wakeUp)
        if let alarm { closeDescriptor(alarm.descriptor) }
        closeDescriptor(descriptor)
        buffer.deallocate()
    }

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

    /// A `timerfd` of the clock that continues while the machine is suspended.
    final class Alarm {
        let descriptor: Int32
        private var time = AlarmTime()

        init?() {
            descriptor = timerfd_create(CLOCK_BOOTTIME, Int32(TFD_NONBLOCK) | Int32(TFD_CLOEXEC))
            if descriptor < 0 { return nil }
        }

        /// Sets the alarm to fire by `deadline`. Returns true if it will; see ``AlarmTime/set(_:arm:)``.
        func set(_ deadline: ContinuousClock.Instant) -> Bool {
            time.set(deadline) { [descriptor] rest in
                let milliseconds = Int(Poller.milliseconds(rest))
                var setting = itimerspec()
                setting.it_value.tv_sec = milliseconds / 1_000
                setting.it_value.tv_nsec = milliseconds % 1_000 * 1_000_000
                return timerfd_settime(descriptor, 0, &setting, nil) == 0
            }
        }

        func hasRung() { time.hasRung() }
    }
}
#endif

// SPDX-License-Identifier: Apache-2.0

#if canImport(Darwin)
import Darwin

/// Level-triggered readiness of sockets, by kqueue (kqueue(2)). Used on the loop's thread only, except for ``wake()``.
///
/// A wait ends on time even if the machine was suspended meanwhile. `ContinuousClock`, the clock of the timers,
/// continues during a suspension (`CLOCK_MONOTONIC_RAW`); the timeout of `kevent` does not, and each timer would be
/// late by the rest of the wait. A timer of the queue that continues too (`NOTE_MACH_CONTINUOUS_TIME`) ends the wait;
/// if the system refuses it, a wait is no longer than ``longestWait``.
struct Poller {
    private let descriptor: Int32
    private static let batch = 256
    private let buffer = UnsafeMutableBufferPointer<kevent>.allocate(capacity: batch)
    /// The changes of one call, and their results.
    private let changes = UnsafeMutableBufferPointer<kevent>.allocate(capacity: 3)
    private let alarm = Alarm()

    private final class Alarm {
        var time = AlarmTime()
    }

    /// Returns `nil` if no file descriptor is available.
    init?() {
        descriptor = kqueue()
        if descriptor >= 0 {
            _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
            // EV_CLEAR: each trigger is reported once.
            if change(Self.event(0, EVFILT_USER, EV_ADD | EV_CLEAR)) { return }
            closeDescriptor(descriptor)
        }
        buffer.deallocate()
        changes.deallocate()
        return nil
    }

    /// Ends the current ``wait(until:_:)``, or the next one. May be called on any thread.
    func wake() { _ = change(Self.event(0, EVFILT_USER, 0, NOTE_TRIGGER)) }

    func close() {
        closeDescriptor(descriptor)
        buffer.deallocate()
        changes.deallocate()
    }

    @discardableResult
    func add(_ socket: Int32, token: UInt64, interest: PollEvents) -> Bool {
        modify(socket, token: token, interest: interest)
    }

    /// Adds or deletes the three filters of a socket in one call. Deleting a filter that is not there is no error.
    @discardableResult
    func modify(_ socket: Int32, token: UInt64, interest: PollEvents) -> Bool {
        // EV_RECEIPT: each change is answered in its place, and no pending event is taken.
        func prepare(
            _ index: Int, _ filter: Int32, if isWanted: Bool, _ flags: Int32 = 0, _ note: Int32 = 0, data: Int = 0
        ) {
            let action = isWanted ? EV_ADD | flags : EV_DELETE
            changes[index] = Self.event(socket, filter, action | EV_RECEIPT, note, data: data, token: token)
        }
        prepare(0, EVFILT_READ, if: interest.contains(.readable))
        prepare(1, EVFILT_WRITE, if: interest.contains(.writable))
        // EVFILT_EXCEPT reports unread bytes too: here only if they fill the buffer, and by EV_CLEAR only once.
        prepare(2, EVFILT_EXCEPT, if: interest.contains(.finished), EV_CLEAR, NOTE_LOWAT, data: .max)
        let count = Int32(changes.count)
        guard kevent(descriptor, changes.baseAddress, count, changes.baseAddress, count, nil) == count else {
            return false
        }
        return (changes[0].data == 0 || !interest.contains(.readable))
            && (changes[1].data == 0 || !interest.contains(.writable))
            && (changes[2].data == 0 || !interest.contains(.finished))
    }

    func remove(_ socket: Int32) { modify(socket, token: 0, interest: []) }

    func wait(until limit: Limit, _ body: (UInt64, PollEvents) -> Void) {
        var time = timespec()
        let count =
            if let timeout = timeout(limit) {
                withUnsafeMutablePointer(to: &time) { time in
                    time.pointee.tv_sec = Int(timeout.components.seconds)
                    time.pointee.tv_nsec = Int(timeout.components.attoseconds / 1_000_000_000)
                    return kevent(descriptor, nil, 0, buffer.baseAddress, Int32(buffer.count), time)
                }
            } else {
                kevent(descriptor, nil, 0, buffer.baseAddress, Int32(buffer.count), nil)
            }
        for index in 0..<max(0, Int(count)) {
            let event = buffer[index]
            let hasEnded = Int32(event.flags) & EV_EOF != 0
            var ready: PollEvents
            switch Int32(event.filter) {
            case EVFILT_READ: ready = hasEnded ? [.readable, .finished] : .readable
            case EVFILT_EXCEPT: ready = hasEnded ? [.readable, .finished] : []
            case EVFILT_WRITE: ready = .writable
            case EVFILT_TIMER:
                alarm.time.hasRung()
                continue
            // The wake-up.
            default: continue
            }
            // The error of the socket, which the next call on it returns too.
            if hasEnded, event.fflags != 0 { ready.insert(.failed) }
            if !ready.isEmpty { body(UInt64(UInt(bitPattern: event.udata)), ready) }
        }
    }

    /// Returns the timeout for `kevent`, `nil` for none, and sets the alarm if a timeout cannot express the limit.
    private func timeout(_ limit: Limit) -> Duration? {
        switch limit {
        case .now: return .zero
        case .never: return nil
        case .at(let deadline):
            let isSet = alarm.time.set(deadline) { rest in
                // Rounded up, so that a timer never fires early and is never polled for.
                let (seconds, attoseconds) = min(rest, .longestWait).components
                let nanoseconds = Int(seconds) * 1_000_000_000 + Int(attoseconds / 1_000_000_000) + 1
                let note = NOTE_NSECONDS | NOTE_MACH_CONTINUOUS_TIME
                return change(Self.event(0, EVFILT_TIMER, EV_ADD | EV_ONESHOT, note, data: nanoseconds))
            }
            return isSet ? nil : Self.capped(deadline)
        }
    }

    private func change(_ event: kevent) -> Bool {
        var event = event
        // Without room for events, an error is returned in errno.
        return kevent(descriptor, &event, 1, nil, 0, nil) == 0
    }

    private static func event(
        _ identifier: Int32, _ filter: Int32, _ flags: Int32, _ note: Int32 = 0, data: Int = 0, token: UInt64 = 0
    ) -> kevent {
        kevent(
            ident: UInt(bitPattern: Int(identifier)), filter: Int16(filter), flags: UInt16(flags),
            fflags: UInt32(bitPattern: note), data: data, udata: UnsafeMutableRawPointer(bitPattern: UInt(token)))
    }
}
#endif

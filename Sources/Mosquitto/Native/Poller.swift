import CMosquittoShim

#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// What a socket is ready for.
struct PollEvents: OptionSet {
    let rawValue: UInt8

    static let readable = PollEvents(rawValue: 1)
    static let writable = PollEvents(rawValue: 2)
    /// An error or a hang-up: the next system call on the socket tells which.
    static let failed = PollEvents(rawValue: 4)
    /// The peer has closed its side. Watched for while nothing is read (Linux alone: kqueue tells it with what can be read).
    static let finished = PollEvents(rawValue: 8)
}

/// Level-triggered readiness of sockets: epoll on Linux, kqueue on Darwin. Used on the loop's thread only, but for ``wake()``.
struct Poller {
    private let descriptor: Int32
    private let wakeUp: WakeUp
    /// The token of the wake-up's own descriptor.
    private static let wakeToken = UInt64.max
    private static let batch = 256

    #if canImport(Darwin)
    private typealias Event = kevent
    #else
    private typealias Event = epoll_event
    #endif
    private let buffer = UnsafeMutableBufferPointer<Event>.allocate(capacity: batch)

    /// `nil` if the process has no file descriptor left.
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
        add(wakeUp.readEnd, token: Self.wakeToken, interest: .readable)
    }

    /// Ends a ``wait(timeout:_:)`` that is going on, or the next one. From any thread.
    func wake() { wakeUp.signal() }

    func close() {
        wakeUp.close()
        closeDescriptor(descriptor)
        buffer.deallocate()
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

    func wait(timeout: Duration?, _ body: (UInt64, PollEvents) -> Void) {
        var limit = timespec()
        if let timeout {
            limit.tv_sec = Int(timeout.components.seconds)
            limit.tv_nsec = Int(timeout.components.attoseconds / 1_000_000_000)
        }
        let count =
            timeout == nil
            ? kevent(descriptor, nil, 0, buffer.baseAddress, Int32(buffer.count), nil)
            : kevent(descriptor, nil, 0, buffer.baseAddress, Int32(buffer.count), &limit)
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
        // Each write to it is an edge, so it never has to be read.
        if token == Self.wakeToken { event.events |= EPOLLET.rawValue }
        event.data.u64 = token
        return epoll_ctl(descriptor, operation, socket, &event) == 0
    }

    func wait(timeout: Duration?, _ body: (UInt64, PollEvents) -> Void) {
        let count = epoll_wait(
            descriptor, buffer.baseAddress, Int32(buffer.count), timeout.map(Self.milliseconds) ?? -1)
        for index in 0..<max(0, Int(count)) {
            let event = buffer[index]
            if event.data.u64 == Self.wakeToken { continue }
            var ready: PollEvents = []
            if event.events & (EPOLLIN.rawValue | EPOLLRDHUP.rawValue) != 0 { ready.insert(.readable) }
            if event.events & EPOLLRDHUP.rawValue != 0 { ready.insert(.finished) }
            if event.events & EPOLLOUT.rawValue != 0 { ready.insert(.writable) }
            if event.events & (EPOLLERR.rawValue | EPOLLHUP.rawValue) != 0 { ready.insert(.failed) }
            body(event.data.u64, ready)
        }
    }

    /// Rounded up, so that a timer is never early and never polled for.
    private static func milliseconds(_ duration: Duration) -> Int32 {
        let (seconds, attoseconds) = duration.components
        if seconds < 0 { return 0 }
        return Int32(
            clamping: min(seconds, 86_400) * 1_000 + (attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000)
    }
    #endif
}

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

/// `close(2)`, under a name that a method called `close` does not hide.
func closeDescriptor(_ descriptor: Int32) { _ = close(descriptor) }

// SPDX-License-Identifier: Apache-2.0

import CMosquittoShim

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// A client that is told of changes of the network, on its loop's thread.
protocol NetworkObserver: AnyObject, Sendable {
    func networkChanged(_ change: MQTTNetworkChange)
}

/// Watches the network for all clients of a loop that ask for it, through one socket (Linux: rtnetlink(7)). The loop
/// owns it while it has observers. Loop thread only.
///
/// `@unchecked Sendable`: only the loop's thread accesses the variables.
final class NetworkWatch: EventLoopClient, @unchecked Sendable {
    private unowned let loop: EventLoopCore
    private let socket: Int32
    private var token: UInt64?
    private var machine = NetworkWatchStateMachine()
    private var timer: TimerID?
    private var observers: [ObjectIdentifier: any NetworkObserver] = [:]

    /// Throws the `errno` of the failed call; `ENOTSUP` on systems without such notifications.
    init(_ loop: EventLoopCore) throws(SystemCallError) {
        self.loop = loop
        socket = cmq_open_network_watch()
        if socket < 0 { throw SystemCallError(code: errno) }
        token = loop.register(socket, client: self, interest: .readable)
        if token == nil {
            let code = errno
            closeDescriptor(socket)
            throw SystemCallError(code: code)
        }
    }

    var hasObservers: Bool { !observers.isEmpty }

    func add(_ observer: any NetworkObserver) { observers[ObjectIdentifier(observer)] = observer }

    func remove(_ observer: any NetworkObserver) { observers[ObjectIdentifier(observer)] = nil }

    func close() {
        guard let token else { return }
        self.token = nil
        loop.unregister(socket, token: token)
        closeDescriptor(socket)
        if let timer { loop.cancelTimer(timer) }
    }

    func socketReady(_ token: UInt64, _ events: PollEvents) {
        guard token == self.token else { return }
        // A datagram for each change; those that are left are reported again.
        for _ in 0..<64 {
            let count = cmq_receive_network_change(socket, loop.scratch.baseAddress, loop.scratch.count)
            if count < 0 {
                if errno == EAGAIN { return }
                guard errno == ENOBUFS || errno == EINTR else { return close() }
                schedule(machine.lost(now: .now))
                continue
            }
            let datagram = UnsafeRawBufferPointer(rebasing: loop.scratch[..<count])
            for message in NetlinkMessage.messages(in: datagram, request: CMQ_NETWORK_REQUEST) {
                schedule(machine.received(message, now: .now))
            }
        }
    }

    private func schedule(_ delay: Duration?) {
        guard let delay else { return }
        timer = loop.setTimer(after: delay) { [weak self] in self?.timerFired() }
    }

    private func timerFired() {
        timer = nil
        guard let change = machine.timerFired(now: .now) else { return }
        // An observer may leave meanwhile.
        for observer in Array(observers.values) { observer.networkChanged(change) }
    }

    func mailboxReady() {}
    func turnEnded() {}
}

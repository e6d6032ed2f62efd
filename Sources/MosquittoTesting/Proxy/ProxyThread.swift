// SPDX-License-Identifier: Apache-2.0

internal import Mosquitto

#if canImport(Darwin)
internal import Darwin
#elseif canImport(Musl)
internal import Musl
#else
internal import Glibc
#endif

/// The thread of a ``TCPProxy``.
struct ProxyThread: Sendable {
    let listener: ProxySocket
    let kernelBuffer: Int32?
    let controls: ProxyControls

    static let readSize = 65_536

    func run() {
        // One for all: what a connection keeps is what it has not sent yet.
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.readSize, alignment: 16)
        defer { buffer.deallocate() }
        var connections: [ProxyConnection] = []
        while true {
            let orders = controls.take()
            if orders.isStopping { break }
            for connection in connections {
                connection.obey(orders)
                connection.serve(buffer)
            }
            connections.removeAll(where: \.hasEnded)
            if wait(connections), let connection = accept() { connections.append(connection) }
        }
        for connection in connections { connection.abandon() }
        listener.close()
    }

    /// Waits until there is something to do. Returns true if a client waits to be accepted.
    private func wait(_ connections: [ProxyConnection]) -> Bool {
        let events = [(listener.descriptor, POLLIN), (controls.wakeUp, POLLIN)] + connections.flatMap(\.events)
        var list = events.map { pollfd(fd: $0.0, events: Int16($0.1), revents: 0) }
        let timeout = connections.compactMap(\.timeout).min() ?? -1
        _ = poll(&list, nfds_t(list.count), timeout)
        if list[1].revents != 0 { controls.heard() }
        return list[0].revents != 0
    }

    private func accept() -> ProxyConnection? {
        guard let client = listener.accept() else { return nil }
        let (broker, number, plan) = controls.look { state in (state.broker, state.connections + 1, state.plan) }
        guard let broker = try? ProxySocket(connectingTo: broker, kernelBuffer: kernelBuffer) else {
            client.close()
            return nil
        }
        let connection = ProxyConnection(number, client: client, broker: broker, plan: plan(number), controls)
        controls.look { state in
            state.connections += 1
            state.open += 1
            state.counts = [TCPProxy.Count(), TCPProxy.Count()]
            (state.roundTrips, state.hasFlipped) = (0, false)
        }
        return connection
    }
}

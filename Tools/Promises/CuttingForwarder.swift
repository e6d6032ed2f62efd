import Foundation
import Mosquitto
import MosquittoTesting
import Synchronization

#if canImport(Darwin)
import Darwin
#else
import Glibc
#endif

/// Forwards TCP connections of 127.0.0.1, and cuts each after a number of bytes, in either direction, as the seed
/// determines. The forwarder ignores the content of the bytes, and runs on one thread.
package final class CuttingForwarder: Sendable {
    package struct Statistics: Sendable {
        package var connections = 0
        package var cutsToBroker = 0
        package var cutsToClient = 0

        package var cuts: Int { cutsToBroker + cutsToClient }
    }

    private struct State {
        var numbers: JitterGenerator
        var isCutting = false
        var endsAll = false
        var isStopped = false
        var statistics = Statistics()
    }

    /// In the order of the targets.
    package let ports: [Int]
    private let state: Mutex<State>
    /// A byte that is written here ends the thread's wait.
    private let bell: Int32

    /// Listens on one port for each target port.
    package init(targets: [Int], seed: UInt64) throws {
        var listeners: [(descriptor: Int32, target: Int)] = []
        var ports: [Int] = []
        for target in targets {
            let (descriptor, port) = try Socket.listen()
            listeners.append((descriptor, target))
            ports.append(port)
        }
        self.ports = ports
        state = Mutex(State(numbers: JitterGenerator(seed: seed)))
        var pipe: [Int32] = [0, 0]
        guard Socket.pipe(&pipe) == 0 else { throw MosquittoTestingError.systemCall("pipe", errno: errno) }
        bell = pipe[1]
        Thread.detachNewThread { [self, listeners, bell = pipe[0]] in serve(listeners, bell) }
    }

    /// True if new connections are cut. Setting this property to `true` also ends all open connections.
    package var isCutting: Bool {
        get { state.withLock { $0.isCutting } }
        set {
            state.withLock { state in
                state.isCutting = newValue
                state.endsAll = newValue
            }
            Socket.ring(bell)
        }
    }

    package var statistics: Statistics { state.withLock { $0.statistics } }

    package func stop() {
        state.withLock { $0.isStopped = true }
        Socket.ring(bell)
    }

    // MARK: On the thread

    private func serve(_ listeners: [(descriptor: Int32, target: Int)], _ bell: Int32) {
        var connections: [ForwardedConnection] = []
        while true {
            var polled = ([bell] + listeners.map(\.descriptor)).map {
                pollfd(fd: $0, events: Int16(POLLIN), revents: 0)
            }
            for connection in connections { polled += connection.polled }
            let wait = connections.compactMap(\.wait).min()
            poll(&polled, nfds_t(polled.count), wait.map { Int32($0 / .milliseconds(1)) + 1 } ?? -1)
            if polled[0].revents != 0 { Socket.silence(bell) }
            let (endsAll, isStopped) = state.withLock { state in
                defer { state.endsAll = false }
                return (state.endsAll, state.isStopped)
            }
            var index = 1 + listeners.count
            for connection in connections {
                connection.serve(client: polled[index].revents, broker: polled[index + 1].revents)
                index += 2
                if endsAll { connection.end(.reset) }
                if isStopped { connection.abandon() }
            }
            connections.removeAll(where: \.hasEnded)
            if isStopped { break }
            for (position, listener) in listeners.enumerated() where polled[1 + position].revents != 0 {
                if let connection = accept(listener) { connections.append(connection) }
            }
        }
        for listener in listeners { close(listener.descriptor) }
        close(bell)
        close(self.bell)
    }

    private func accept(_ listener: (descriptor: Int32, target: Int)) -> ForwardedConnection? {
        guard let client = Socket.accept(listener.descriptor) else { return nil }
        guard let broker = Socket.connect(to: listener.target) else {
            close(client)
            return nil
        }
        return state.withLock { state in
            state.statistics.connections += 1
            let cut = state.isCutting ? ForwardedConnection.Cut.random(using: &state.numbers) : nil
            return ForwardedConnection(client: client, broker: broker, cut: cut) { [self] isToBroker in
                self.state.withLock { state in
                    if isToBroker { state.statistics.cutsToBroker += 1 } else { state.statistics.cutsToClient += 1 }
                }
            }
        }
    }
}

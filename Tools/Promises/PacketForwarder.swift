import Foundation
import MosquittoTesting
import Synchronization

#if canImport(Darwin)
import Darwin
#else
import Glibc
#endif

/// Forwards TCP connections from 127.0.0.1 to a broker at a limited rate, and applies a rule to each packet to the
/// broker if the connections are plain MQTT. Two threads serve each connection, which suffices for the few connections
/// of a lane.
package final class PacketForwarder: Sendable {
    /// The decision about a packet to the broker.
    package enum Verdict: Sendable {
        case pass
        /// Withholds the packet from the broker, sends these bytes to the client and closes the connection.
        case end([UInt8])
    }

    package typealias Rule = @Sendable (_ packet: [UInt8]) -> Verdict

    private struct State {
        /// Increases when all connections must be reset.
        var era = 0
        var isStopped = false
        var connections = 0
        var ended = 0
    }

    package let port: Int
    private let target: Int
    private let bytesPerSecond: Int?
    private let rule: Rule?
    private let state = Mutex(State())

    /// - Parameters:
    ///   - target: the broker's port.
    ///   - bytesPerSecond: the maximum rate of each connection to the broker.
    ///   - rule: decides about each whole packet to the broker.
    package init(target: Int, bytesPerSecond: Int? = nil, rule: Rule? = nil) throws {
        let (listener, port) = try Socket.listen()
        (self.port, self.target, self.bytesPerSecond, self.rule) = (port, target, bytesPerSecond, rule)
        // A slow link must not accept megabytes at its start.
        if bytesPerSecond != nil { Socket.setReceiveBuffer(listener, 16_384) }
        Thread.detachNewThread { [self] in accept(listener) }
    }

    /// Number of connections accepted so far.
    package var connections: Int { state.withLock { $0.connections } }
    /// Number of connections that the rule has ended.
    package var ended: Int { state.withLock { $0.ended } }

    /// Resets all open connections.
    package func resetAll() { state.withLock { $0.era += 1 } }

    package func stop() { state.withLock { $0.isStopped = true } }

    // MARK: On the threads

    private var era: Int? { state.withLock { $0.isStopped ? nil : $0.era } }

    private func accept(_ listener: Int32) {
        while era != nil {
            guard Socket.waitUntilReady(listener, POLLIN, milliseconds: 20), let client = Socket.accept(listener) else {
                continue
            }
            // Reads the value after the wait: connections made after a reset are not reset.
            guard let era, let broker = Socket.connect(to: target) else {
                close(client)
                continue
            }
            state.withLock { $0.connections += 1 }
            let link = Link(client: client, broker: broker) { [self] in self.era == era }
            Thread.detachNewThread { [self] in link.carry { upward(link) } }
            Thread.detachNewThread {
                link.carry { while let bytes = link.receive(from: broker) { link.toClient(bytes) } }
            }
        }
        close(listener)
    }

    private func upward(_ link: Link) {
        let limit = bytesPerSecond.map { max(1, $0 / 100) } ?? 65_536
        var packets = PacketSplitter()
        while let bytes = link.receive(from: link.client, atMost: limit) {
            guard let rule else {
                link.toBroker(bytes)
                if let bytesPerSecond { usleep(UInt32(bytes.count * 1_000_000 / bytesPerSecond)) }
                continue
            }
            for packet in packets.split(bytes) {
                guard case .end(let answer) = rule(packet) else {
                    link.toBroker(packet)
                    continue
                }
                state.withLock { $0.ended += 1 }
                link.toClient(answer)
                return link.end()
            }
        }
    }
}

/// A connection of a ``PacketForwarder``, closed by the last of its two threads.
private final class Link: Sendable {
    let client: Int32
    let broker: Int32
    private let isWanted: @Sendable () -> Bool
    private let state = Mutex((threads: 2, isOver: false))

    init(client: Int32, broker: Int32, while isWanted: @escaping @Sendable () -> Bool) {
        (self.client, self.broker, self.isWanted) = (client, broker, isWanted)
    }

    private var isOver: Bool { state.withLock { $0.isOver } }

    /// Ends both threads of the connection.
    func end() { state.withLock { $0.isOver = true } }

    /// Runs one of the threads.
    func carry(_ body: () -> Void) {
        body()
        end()
        let isLast = state.withLock { state in
            state.threads -= 1
            return state.threads == 0
        }
        guard isLast else { return }
        if !isWanted() { Socket.resetOnClose(client) }
        close(client)
        close(broker)
    }

    /// Waits for bytes and returns them; `nil` at the end of the connection.
    func receive(from descriptor: Int32, atMost limit: Int = 65_536) -> [UInt8]? {
        while !isOver, isWanted() {
            guard Socket.waitUntilReady(descriptor, POLLIN, milliseconds: 20) else { continue }
            switch Socket.receive(from: descriptor, atMost: limit) {
            case .received(let bytes): return bytes
            case .notYet: continue
            case .end, nil: return nil
            }
        }
        return nil
    }

    func toClient(_ bytes: [UInt8]) { send(bytes, to: client) }

    func toBroker(_ bytes: [UInt8]) { send(bytes, to: broker) }

    private func send(_ bytes: [UInt8], to descriptor: Int32) {
        var rest = bytes[...]
        while !rest.isEmpty, !isOver, isWanted() {
            guard let count = Socket.send(rest, to: descriptor) else { return end() }
            rest = rest.dropFirst(count)
            if count == 0 { _ = Socket.waitUntilReady(descriptor, POLLOUT, milliseconds: 20) }
        }
    }
}

/// Assembles the bytes of a stream into MQTT packets.
struct PacketSplitter {
    private var rest: [UInt8] = []

    /// Returns the packets that these bytes complete.
    mutating func split(_ bytes: [UInt8]) -> [[UInt8]] {
        rest += bytes
        var packets: [[UInt8]] = []
        while let length = Self.length(rest), rest.count >= length {
            packets.append(Array(rest[..<length]))
            rest.removeFirst(length)
        }
        return packets
    }

    /// MQTT 5.0, section 2.1.4. `nil` if the header is incomplete.
    private static func length(_ bytes: [UInt8]) -> Int? {
        var value = 0
        for index in 1..<5 where index < bytes.count {
            value |= Int(bytes[index] & 0x7F) << (7 * (index - 1))
            if bytes[index] & 0x80 == 0 { return 1 + index + value }
        }
        return nil
    }
}

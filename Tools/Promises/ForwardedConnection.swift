import Mosquitto

#if canImport(Darwin)
import Darwin
#else
import Glibc
#endif

/// A forwarded connection with its state. Only the forwarder's thread may use it.
final class ForwardedConnection {
    /// The end of the connection that the client sees.
    enum Ending {
        /// A FIN.
        case close
        /// A RST.
        case reset
    }

    /// A cut of a connection: the bytes up to the limit arrive, the next one does not.
    struct Cut {
        var isToBroker: Bool
        var bytes: Int
        /// The time for which the other direction stays open. Packets that it carries are no longer answered.
        var lag: Duration
        var ending: Ending

        /// Draws the limit evenly over decades: within the first ten bytes as often as between 10 and 100, 10,000 and
        /// 100,000 and so on. Some connections thus end in the TLS handshake, and some after thousands of packets.
        static func random(using numbers: inout JitterGenerator) -> Cut {
            let decade = Int.random(in: 0...5, using: &numbers)
            let low = (0..<decade).reduce(1) { product, _ in product * 10 }
            return Cut(
                isToBroker: Bool.random(using: &numbers),
                // The first decades are less than a CONNECT, and rare.
                bytes: Int.random(in: low..<min(low * 10, 300_000), using: &numbers)
                    + (decade < 3 && Int.random(in: 0..<4, using: &numbers) > 0 ? 2_500 : 0),
                lag: .milliseconds(Bool.random(using: &numbers) ? 0 : Int.random(in: 1...60, using: &numbers)),
                ending: Bool.random(using: &numbers) ? .close : .reset)
        }
    }

    private let client: Int32
    private let broker: Int32
    private let cut: Cut?
    private let onCut: (_ isToBroker: Bool) -> Void
    private var up = Flow()
    private var down = Flow()
    private var endsAt: ContinuousClock.Instant?
    /// True if the client's side is closed and further bytes from the broker are discarded.
    private var isDraining = false
    private(set) var hasEnded = false

    init(client: Int32, broker: Int32, cut: Cut?, onCut: @escaping (_ isToBroker: Bool) -> Void) {
        self.client = client
        self.broker = broker
        self.cut = cut
        self.onCut = onCut
        if let cut {
            if cut.isToBroker { up.left = cut.bytes } else { down.left = cut.bytes }
        }
    }

    /// The client's side and the broker's.
    var polled: [pollfd] {
        if isDraining {
            return [pollfd(fd: -1, events: 0, revents: 0), pollfd(fd: broker, events: Int16(POLLIN), revents: 0)]
        }
        return [
            pollfd(fd: client, events: events(reads: up, writes: down), revents: 0),
            pollfd(fd: broker, events: events(reads: down, writes: up), revents: 0),
        ]
    }

    /// Time until the connection must be served without an event; `nil` for no limit.
    var wait: Duration? { endsAt.map { max(.zero, $0 - .now) } }

    func serve(client clientEvents: Int16, broker brokerEvents: Int16) {
        if isDraining { return drain(brokerEvents) }
        let readable = Int16(POLLIN) | Int16(POLLHUP)
        for (events, flow) in [(clientEvents, up), (brokerEvents, down)] {
            let isGone = events & Int16(POLLERR) != 0 || events & Int16(POLLHUP) != 0 && !flow.wantsToRead
            if isGone { return end(.reset) }
        }
        if up.wantsToRead, clientEvents & readable != 0, !up.read(from: client) { return end(.reset) }
        if down.wantsToRead, brokerEvents & readable != 0, !down.read(from: broker) { return end(.reset) }
        guard up.write(to: broker), down.write(to: client) else { return end(.reset) }
        if let cut, endsAt == nil, up.isCut || down.isCut {
            onCut(cut.isToBroker)
            endsAt = .now + cut.lag
        }
        if let endsAt, endsAt <= .now { return end(cut?.ending ?? .close) }
        if up.isOver, down.isOver { end(.close) }
    }

    /// Closes the client's side, and ends the stream to the broker.
    ///
    /// The broker can continue writing. Otherwise mosquitto 2.0.11 itself would violate the guarantee: when it fails to
    /// write a PUBREL again, it publishes the QoS 2 message again after the next CONNECT
    /// (`db__message_reconnect_reset_outgoing`).
    func end(_ ending: Ending) {
        guard !isDraining, !hasEnded else { return }
        isDraining = true
        endsAt = .now + .seconds(5)
        if ending == .reset { Socket.resetOnClose(client) }
        close(client)
        shutdown(broker, Int32(SHUT_WR))
    }

    /// Closes both sides at once.
    func abandon() {
        if !isDraining { close(client) }
        if !hasEnded { close(broker) }
        (isDraining, hasEnded) = (true, true)
    }

    private func drain(_ events: Int16) {
        var isOver = endsAt.map { $0 <= .now } ?? true
        if events != 0 {
            switch Socket.receive(from: broker, atMost: 65_536) {
            case .notYet, .received: break
            case .end, nil: isOver = true
            }
        }
        if isOver { abandon() }
    }

    private func events(reads: Flow, writes: Flow) -> Int16 {
        (reads.wantsToRead ? Int16(POLLIN) : 0) | (writes.wantsToWrite ? Int16(POLLOUT) : 0)
    }
}

/// One direction of a connection.
private struct Flow {
    /// Number of bytes that may still be read; `nil` for no limit.
    var left: Int?
    private var pending: ArraySlice<UInt8> = []
    private var hasEnded = false
    private var hasToldEnd = false

    var wantsToRead: Bool { pending.isEmpty && !hasEnded && left != 0 }
    var wantsToWrite: Bool { !pending.isEmpty }
    /// True if the limit is reached and all bytes before it have been forwarded.
    var isCut: Bool { left == 0 && pending.isEmpty }
    var isOver: Bool { hasToldEnd }

    /// Reads bytes, and returns false if the connection has failed.
    mutating func read(from descriptor: Int32) -> Bool {
        guard let bytes = Socket.receive(from: descriptor, atMost: min(65_536, left ?? .max)) else { return false }
        switch bytes {
        case .notYet: return true
        case .end: hasEnded = true
        case .received(let new):
            pending = new[...]
            left = left.map { $0 - new.count }
        }
        return true
    }

    mutating func write(to descriptor: Int32) -> Bool {
        if !pending.isEmpty {
            guard let count = Socket.send(pending, to: descriptor) else { return false }
            pending = pending.dropFirst(count)
        }
        if hasEnded, pending.isEmpty, !hasToldEnd {
            hasToldEnd = true
            shutdown(descriptor, Int32(SHUT_WR))
        }
        return true
    }
}

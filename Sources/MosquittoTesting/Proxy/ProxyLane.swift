// SPDX-License-Identifier: Apache-2.0

internal import Mosquitto

#if canImport(Darwin)
internal import Darwin
#elseif canImport(Musl)
internal import Musl
#else
internal import Glibc
#endif

/// One direction of a connection: reads bytes from a socket, changes them and writes them to the other socket.
struct ProxyLane {
    let source: ProxySocket
    let sink: ProxySocket
    private var pieces: PieceSizes
    private let hidesEnd: Bool
    private let delay: Duration
    /// True if each piece waits until the previous one has been read.
    private let isStepping: Bool

    var valve = TCPProxy.Valve.open
    private(set) var acknowledged = 0
    /// True if the last ``read(_:)`` has read bytes.
    private(set) var hasJustRead = false
    private var received = 0
    private var sent = 0
    private var hasEnded = false
    /// True if FIN has been forwarded.
    private var isFinished = false
    /// True if the stream ends after the pending bytes.
    private var isEnding = false
    private var isBlocked = false

    private var scanner: RecordScanner?
    private var filter: PacketFilter?
    private var throttle: Throttle?
    /// Number of bytes that may still be read before the cut; `nil` for no limit.
    private var left: Int?

    private var delayed = DelayedBytes()
    private var pending: [UInt8] = []
    private var position = 0

    init(_ direction: TCPProxy.Direction, from source: ProxySocket, to sink: ProxySocket, plan: TCPProxy.Plan) {
        (self.source, self.sink) = (source, sink)
        (pieces, delay) = (PieceSizes(plan.pieces), plan.delay)
        let isToClient = direction == .toClient
        hidesEnd = isToClient && plan.hidesEnd
        isStepping = isToClient && sink.isUnix && plan.pieces != .asTheyCome
        filter = isToClient ? nil : plan.filter.map(PacketFilter.init)
        throttle = isToClient ? nil : plan.bytesPerSecond.map(Throttle.init)
        left = plan.cut.flatMap { $0.direction == direction ? $0.bytes : nil }
        let (flip, end) = isToClient ? (plan.flip, plan.end) : (nil, nil)
        if plan.observesRecords || flip != nil || end != nil {
            scanner = RecordScanner(flip: flip, end: end, keepsRecords: plan.observesRecords)
        }
    }

    // MARK: State

    private var isEmpty: Bool { position == pending.count }

    private var mayRead: Bool {
        !hasEnded && valve != .shut && left != 0 && filter?.hasRejected != true
            && (isEmpty && !delayed.isFull || valve == .collecting)
    }
    private var allowance: Int { min(throttle?.credit ?? ProxyThread.readSize, left ?? .max, ProxyThread.readSize) }

    var wantsRead: Bool { mayRead && allowance > 0 }
    var wantsWrite: Bool { isBlocked && !isEmpty && valve == .open }

    /// Milliseconds until there is work that no event of poll(2) announces; `nil` if there is none.
    var timeout: Int32? {
        if !isBlocked, !isEmpty, valve == .open { return 0 }
        // poll(2) does not report acknowledgements.
        if acknowledged != sent { return 1 }
        let due = delayed.due.map(ProxyConnection.milliseconds)
        return mayRead && allowance == 0 ? min(10, due ?? 10) : due
    }

    /// True if all bytes received so far have been acknowledged.
    var isDelivered: Bool { isEmpty && delayed.isEmpty && acknowledged == sent }

    /// True if the limit of the cut is reached and all bytes before it have been forwarded.
    var isCut: Bool { left == 0 && isEmpty && delayed.isEmpty }

    /// True if no more bytes will pass.
    var isOver: Bool { isFinished || hidesEnd && hasEnded && isEmpty && delayed.isEmpty }

    var hasFlipped: Bool { scanner?.hasFlipped ?? false }

    /// Counts acknowledgements.
    mutating func look() { acknowledged = sent - sink.unread }

    mutating func report(to count: inout TCPProxy.Count) {
        count.acknowledged = acknowledged
        count.received = received
        count.sent = sent
        count.hasEnded = hasEnded
        count.records += scanner?.takeRecords() ?? []
    }

    // MARK: Orders

    mutating func inject(_ bytes: [UInt8]) {
        if delayed.isEmpty { pending += bytes } else { delayed.append(bytes) }
    }

    mutating func finish() { isEnding = true }

    /// Returns the answer of the filter to a packet that it has withheld, once.
    mutating func takeAnswer() -> [UInt8]? { filter?.takeAnswer() }

    /// Discards all bytes that are under way.
    mutating func discard() { (pending, position, delayed) = ([], 0, DelayedBytes()) }

    // MARK: Bytes

    /// Reads once, if the valve and the rate permit. Returns true if the socket is alive.
    mutating func read(_ buffer: UnsafeMutableRawBufferPointer) -> Bool {
        hasJustRead = false
        throttle?.refill()
        guard wantsRead else { return true }
        switch source.receive(into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<allowance])) {
        case .bytes(let count):
            hasJustRead = true
            received += count
            left? -= count
            throttle?.spend(count)
            // After the end of the plan, what comes is dropped.
            if !isEnding { take([UInt8](buffer[..<count])) }
        case .end:
            hasEnded = true
            isEnding = true
        case .wouldBlock: break
        case .failed: return false
        }
        return true
    }

    private mutating func take(_ received: [UInt8]) {
        var bytes = received
        if scanner?.scan(&bytes) == true { isEnding = true }
        if let passed = filter?.pass(bytes) { bytes = passed }
        if delay > .zero { delayed.append(bytes, due: ContinuousClock.now + delay) } else { pending += bytes }
    }

    /// Writes as many bytes as possible without blocking. Returns true if the socket is alive.
    mutating func write() -> Bool {
        isBlocked = false
        if !delayed.isEmpty { pending += delayed.take() }
        guard send() else { return false }
        if isEnding, !hidesEnd, isEmpty, delayed.isEmpty, valve == .open, !isFinished {
            isFinished = true
            sink.finishWriting()
        }
        return true
    }

    private mutating func send() -> Bool {
        while !isEmpty, valve == .open, !isBlocked {
            // poll(2) does not report that the client has read.
            if isStepping, sink.unread > 0 {
                usleep(20)
                return true
            }
            let length = min(pending.count - position, pieces.next())
            let isLast = isEnding && !hidesEnd && delayed.isEmpty && length == pending.count - position
            let result = pending.withUnsafeBytes {
                sink.send(UnsafeRawBufferPointer(rebasing: $0[position..<position + length]), isLast: isLast)
            }
            switch result {
            case .bytes(let taken):
                position += taken
                sent += taken
            case .wouldBlock: isBlocked = true
            case .end, .failed: return false
            }
        }
        // Memory goes back as soon as it can: what a proxy keeps is to be no part of what a test measures.
        if isEmpty, !pending.isEmpty { (pending, position) = ([], 0) }
        return true
    }
}

/// Draws the sizes of pieces.
private struct PieceSizes {
    private let pieces: TCPProxy.Pieces
    private var generator: JitterGenerator

    init(_ pieces: TCPProxy.Pieces) {
        self.pieces = pieces
        let seed: UInt64 = if case .random(let seed) = pieces { seed } else { 0 }
        generator = JitterGenerator(seed: seed)
    }

    mutating func next() -> Int {
        switch pieces {
        case .asTheyCome: .max
        case .single: 1
        // Half of them are smaller than a header and what is next to it.
        case .random: Int.random(in: 1...(Bool.random(using: &generator) ? 16 : 1_400), using: &generator)
        }
    }
}

/// The bytes that a rate permits.
private struct Throttle {
    private let bytesPerSecond: Double
    private var bytes: Double
    private var last = ContinuousClock.now

    init(_ bytesPerSecond: Int) {
        self.bytesPerSecond = Double(max(1, bytesPerSecond))
        bytes = self.bytesPerSecond / 10
    }

    var credit: Int { Int(bytes) }

    mutating func refill() {
        let now = ContinuousClock.now
        bytes = min(bytes + (now - last) / .seconds(1) * bytesPerSecond, max(1, bytesPerSecond / 10))
        last = now
    }

    mutating func spend(_ count: Int) { bytes -= Double(count) }
}

/// Bytes whose delay is not over.
private struct DelayedBytes {
    private var chunks: [(due: ContinuousClock.Instant, bytes: [UInt8])] = []
    private var count = 0

    var isEmpty: Bool { chunks.isEmpty }
    var isFull: Bool { count > 1 << 20 }
    /// The time at which the first bytes are due; `nil` if there are none.
    var due: ContinuousClock.Instant? { chunks.first?.due }

    /// Appends bytes that are due at this time, or with those before them.
    mutating func append(_ bytes: [UInt8], due: ContinuousClock.Instant? = nil) {
        chunks.append((due ?? chunks.last?.due ?? .now, bytes))
        count += bytes.count
    }

    /// Returns the bytes that are due, once.
    mutating func take() -> [UInt8] {
        let now = ContinuousClock.now
        let due = chunks.prefix { $0.due <= now }
        chunks.removeFirst(due.count)
        let bytes = due.flatMap { $0.bytes }
        count -= bytes.count
        return bytes
    }
}

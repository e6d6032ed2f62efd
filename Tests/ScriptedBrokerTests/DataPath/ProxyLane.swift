@testable import Mosquitto

#if canImport(Darwin)
import Darwin
#elseif canImport(Musl)
import Musl
#else
import Glibc
#endif

/// One direction of a connection: reads bytes from a socket, changes them and writes them to the other socket.
struct ProxyLane {
    let source: ProxySocket
    let sink: ProxySocket
    private let pieces: TamperingProxy.Pieces
    private let hidesEnd: Bool
    /// True if each piece waits until the previous one has been read.
    private let isStepping: Bool

    var valve = TamperingProxy.Valve.open
    /// True if FIN has been forwarded.
    private var isFinished = false
    private var received = 0
    private var sent = 0
    private var hasEnded = false

    private var scanner: RecordScanner
    private var pending: [UInt8] = []
    private var position = 0
    /// True if the stream ends after the pending bytes.
    private var isEnding = false
    private var isBlocked = false
    private var generator: JitterGenerator
    private let bytesPerSecond: Int?
    private let start = ContinuousClock.now

    private static let readSize = 65_536

    init(_ flow: Flow, from source: ProxySocket, to sink: ProxySocket, plan: TamperingProxy.Plan, isStepping: Bool) {
        self.source = source
        self.sink = sink
        pieces = plan.pieces
        hidesEnd = flow == .toClient && plan.hidesEnd
        bytesPerSecond = flow == .toBroker ? plan.bytesPerSecond : nil
        self.isStepping = isStepping
        scanner = RecordScanner(flip: flow == .toClient ? plan.flip : nil, end: flow == .toClient ? plan.end : nil)
        let seed: UInt64 = if case .random(let seed) = plan.pieces { seed } else { 0 }
        generator = JitterGenerator(seed: seed)
    }

    var hasFlipped: Bool { scanner.hasFlipped }

    private var isEmpty: Bool { position == pending.count }

    var wantsRead: Bool { allowance > 0 && mayRead }
    private var mayRead: Bool { !hasEnded && valve != .shut && (isEmpty || valve == .collecting) }
    /// True if the lane may read as soon as the rate allows more bytes.
    var isThrottled: Bool { allowance == 0 && mayRead }

    /// Number of bytes that the rate allows now.
    private var allowance: Int {
        guard let bytesPerSecond else { return Self.readSize }
        let passed = Int((ContinuousClock.now - start) / .milliseconds(1)) * bytesPerSecond / 1_000
        return min(max(passed - received, 0), Self.readSize)
    }
    var wantsWrite: Bool { isBlocked && !isEmpty && valve == .open }
    /// True if there is work that no event of poll(2) announces.
    var isBusy: Bool { !isBlocked && !isEmpty && valve == .open }

    /// True if no acknowledgement is outstanding. poll(2) does not report acknowledgements, so it may block only then.
    var isIdle: Bool { acknowledged == sent }

    mutating func inject(_ bytes: [UInt8]) { pending += bytes }
    mutating func finish() { isEnding = true }

    /// True if all bytes received so far have been acknowledged.
    var isDelivered: Bool { isEmpty && acknowledged == sent }

    private(set) var acknowledged = 0

    /// True if no more bytes will pass.
    var isOver: Bool { isFinished || hidesEnd && hasEnded && isEmpty }

    mutating func report(to count: inout TamperingProxy.Count) {
        acknowledged = sent - sink.unread
        count.acknowledged = acknowledged
        count.received = received
        count.sent = sent
        count.hasEnded = hasEnded
        count.records += scanner.takeRecords()
    }

    /// Writes as many bytes as possible without blocking. Returns true if the socket is alive.
    mutating func write() -> Bool {
        isBlocked = false
        if !send() { return false }
        if isEnding, !hidesEnd, isEmpty, valve == .open, !isFinished {
            isFinished = true
            sink.finishWriting()
        }
        return true
    }

    /// Reads once, if the valve and the rate permit. Returns true if the socket is alive.
    mutating func read() -> Bool {
        let allowance = allowance
        guard mayRead, allowance > 0 else { return true }
        if isEmpty {
            pending.removeAll(keepingCapacity: true)
            position = 0
        }
        let start = pending.count
        var result = ProxySocket.Result.wouldBlock
        pending += [UInt8](unsafeUninitializedCapacity: allowance) { buffer, size in
            result = source.receive(into: UnsafeMutableRawBufferPointer(buffer))
            if case .bytes(let count) = result { size = count }
        }
        switch result {
        case .bytes(let received):
            self.received += received
            // After the end of the plan, what comes is dropped.
            if isEnding {
                pending.removeSubrange(start...)
                return true
            }
            if scanner.scan(&pending, from: start) { isEnding = true }
        case .end:
            hasEnded = true
            isEnding = true
        case .wouldBlock: break
        case .failed: return false
        }
        return true
    }

    private mutating func send() -> Bool {
        while !isEmpty, valve == .open, !isBlocked {
            // poll(2) has no event for bytes that the peer has read.
            if isStepping, sink.unread > 0 {
                usleep(20)
                return true
            }
            let length = min(pending.count - position, nextPiece())
            let isLast = isEnding && !hidesEnd && length == pending.count - position
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
        return true
    }

    private mutating func nextPiece() -> Int {
        switch pieces {
        case .asTheyCome: .max
        case .single: 1
        // Half of them are smaller than a header and what is next to it.
        case .random: Int.random(in: 1...(Bool.random(using: &generator) ? 16 : 1_400), using: &generator)
        }
    }
}

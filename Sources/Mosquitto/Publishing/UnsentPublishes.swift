import DequeModule

/// Messages of QoS 0 that were encoded, in their order, until the kernel has taken their bytes.
///
/// Positions count the bytes of a connection as they go over the wire, TLS included, from its beginning.
struct UnsentPublishes {
    private struct Entry {
        let publish: OutgoingPublish
        /// Where its packet ends in the bytes that were written together.
        let end: Int
    }

    /// Bytes that were written together.
    private struct Write {
        /// The number of messages of QoS 0 in them.
        let count: Int
        let plain: Int
        let wire: Range<Int>

        /// True if none of the bytes is missing on the wire: else encrypting them has failed.
        var isWhole: Bool { wire.count >= plain }

        /// The position after the last byte that the broker needs to read a packet which ends at `end`. TLS has equally
        /// long headers and tags in all full records, and one that is not complete cannot be read.
        func needed(for end: Int) -> Int {
            if wire.count == plain { return wire.lowerBound + end }
            let (records, index) = (Self.records(plain), Self.records(end))
            if index == records { return wire.upperBound }
            return wire.lowerBound + index * (Self.recordSize + (wire.count - plain) / records)
        }

        /// The plaintext of a full record (RFC 8446, section 5.1).
        private static let recordSize = 1 << 14

        private static func records(_ count: Int) -> Int { (count + recordSize - 1) / recordSize }
    }

    private var entries = Deque<Entry>()
    private var writes = Deque<Write>()
    /// Messages since the last write.
    private var encoded = 0
    /// Messages of writes that the kernel has taken.
    private var due = 0
    /// The largest number of messages so far.
    private var peak = 0

    var isEmpty: Bool { entries.isEmpty }
    var count: Int { entries.count }

    /// A packet was encoded that ends there in what is written next.
    mutating func append(_ publish: OutgoingPublish, end: Int) {
        entries.append(Entry(publish: publish, end: end))
        encoded += 1
    }

    /// The encoded packets were written.
    mutating func written(_ plain: Int, wire: Range<Int>) {
        if encoded > 0 { writes.append(Write(count: encoded, plain: plain, wire: wire)) }
        encoded = 0
        peak = max(peak, entries.count)
    }

    /// Takes the next message whose write the kernel has taken as a whole, having taken bytes up to a position.
    mutating func popFirst(sent: Int) -> OutgoingPublish? {
        if due == 0 {
            guard let write = writes.first, write.isWhole, write.wire.upperBound <= sent else { return nil }
            writes.removeFirst()
            due = write.count
        }
        due -= 1
        let publish = entries.popFirst()?.publish
        // After a burst, its memory is given back.
        if entries.isEmpty, peak > Self.kept { self = UnsentPublishes() }
        return publish
    }

    private static let kept = 4_096

    /// The connection has ended: takes all, those that the broker may have apart from those that it cannot have.
    mutating func takeAll(sent: Int) -> (sent: [OutgoingPublish], unsent: [OutgoingPublish]) {
        var all: (sent: [OutgoingPublish], unsent: [OutgoingPublish]) = ([], [])
        for _ in 0..<due { if let entry = entries.popFirst() { all.sent.append(entry.publish) } }
        for write in writes {
            for _ in 0..<write.count {
                guard let entry = entries.popFirst() else { break }
                if write.isWhole, write.needed(for: entry.end) <= sent {
                    all.sent.append(entry.publish)
                } else {
                    all.unsent.append(entry.publish)
                }
            }
        }
        all.unsent += entries.map(\.publish)
        self = UnsentPublishes()
        return all
    }
}

// SPDX-License-Identifier: Apache-2.0

import DequeModule

/// Encoded messages of QoS 0, in order, until the kernel has accepted their bytes.
///
/// Positions count the bytes on the wire, TLS included, from the beginning of the connection.
struct UnsentPublishes {
    private struct Entry {
        let publish: OutgoingPublish
        /// The end of its packet within the bytes of its write.
        let end: Int
    }

    /// Bytes that were written in one call.
    private struct Write {
        /// Number of messages of QoS 0 in the write.
        let count: Int
        let plain: Int
        let wire: Range<Int>
        /// The room for the header of a WebSocket frame in the first record; 0 without a WebSocket.
        let headerRoom: Int
        /// Number of plaintext bytes in a full TLS record (RFC 8446, section 5.1); fewer if the record is within one of
        /// a proxy.
        let recordSize: Int

        /// True if all bytes were encrypted; false if the encryption failed.
        var isWhole: Bool { wire.count >= plain }

        /// Returns the position after the last byte that the broker needs to read a packet which ends at `end`. TLS
        /// adds equally long headers and tags to all full records, and an incomplete record cannot be read.
        func needed(for end: Int) -> Int {
            // No record has an overhead as small as this.
            let overhead = wire.count - plain
            if overhead <= headerRoom { return wire.lowerBound + overhead + end }
            let (records, index) = (records(plain + headerRoom), records(end + headerRoom))
            if index == records { return wire.upperBound }
            return wire.lowerBound + index * (recordSize + overhead / records)
        }

        private func records(_ count: Int) -> Int { (count + recordSize - 1) / recordSize }
    }

    private var entries = Deque<Entry>()
    private var writes = Deque<Write>()
    /// Number of messages encoded since the last write.
    private var encoded = 0
    /// Number of messages in writes that the kernel has accepted.
    private var due = 0
    /// Largest number of messages so far.
    private var peak = 0

    var isEmpty: Bool { entries.isEmpty }
    var count: Int { entries.count }

    /// Adds a message whose packet ends at `end` within the next write.
    mutating func append(_ publish: OutgoingPublish, end: Int) {
        entries.append(Entry(publish: publish, end: end))
        encoded += 1
    }

    /// Records that the encoded packets were written.
    mutating func written(_ plain: Int, wire: Range<Int>, headerRoom: Int = 0, recordSize: Int = TLSRecord.size) {
        if encoded > 0 {
            writes.append(
                Write(count: encoded, plain: plain, wire: wire, headerRoom: headerRoom, recordSize: recordSize))
        }
        encoded = 0
        peak = max(peak, entries.count)
    }

    /// Removes and returns the next message whose write the kernel has accepted completely. `sent`: the position up to
    /// which it has accepted bytes.
    mutating func popFirst(sent: Int) -> OutgoingPublish? {
        if due == 0 {
            guard let write = writes.first, write.isWhole, write.wire.upperBound <= sent else { return nil }
            writes.removeFirst()
            due = write.count
        }
        due -= 1
        let publish = entries.popFirst()?.publish
        // The memory of a burst is released.
        if entries.isEmpty, peak > Self.kept { self = UnsentPublishes() }
        return publish
    }

    private static let kept = 4_096

    /// Removes and returns all messages at the end of a connection: those that the broker may have received, and those
    /// that it cannot have received.
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

// SPDX-License-Identifier: Apache-2.0

/// A queue of bytes: appended at the end, consumed at the beginning.
struct ByteQueue {
    private var storage: [UInt8] = []
    private var start = 0

    var count: Int { storage.count - start }
    var isEmpty: Bool { start == storage.count }

    subscript(offset: Int) -> UInt8 { storage[start + offset] }

    mutating func append(_ bytes: UnsafeRawBufferPointer) {
        // Consumed bytes are removed before an append would copy them.
        if start > 0, storage.count + bytes.count > storage.capacity || start == storage.count {
            storage.removeFirst(start)
            start = 0
        }
        storage.append(contentsOf: bytes)
    }

    mutating func remove(_ count: Int) {
        start += count
        if start == storage.count {
            storage.removeAll(keepingCapacity: true)
            start = 0
        }
    }

    /// Releases the memory if the queue is empty.
    mutating func rest() {
        if isEmpty { self = ByteQueue() }
    }

    /// Calls `body` with the first `count` bytes, or fewer if there are fewer.
    func withPrefix<R>(_ count: Int = .max, _ body: (UnsafeRawBufferPointer) -> R) -> R {
        storage.withUnsafeBytes { body(UnsafeRawBufferPointer(rebasing: $0[start..<start + min(count, self.count)])) }
    }
}

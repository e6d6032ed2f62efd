/// Bytes that go in at the end and out at the beginning.
struct ByteQueue {
    private var storage: [UInt8] = []
    private var start = 0

    var count: Int { storage.count - start }
    var isEmpty: Bool { start == storage.count }

    subscript(offset: Int) -> UInt8 { storage[start + offset] }

    mutating func append(_ bytes: UnsafeRawBufferPointer) {
        // What was taken is given up before it would be copied.
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

    /// Gives back the memory, if there are none.
    mutating func rest() {
        if isEmpty { self = ByteQueue() }
    }

    /// The first `count` bytes, or all that there are.
    func withPrefix<R>(_ count: Int = .max, _ body: (UnsafeRawBufferPointer) -> R) -> R {
        storage.withUnsafeBytes { body(UnsafeRawBufferPointer(rebasing: $0[start..<start + min(count, self.count)])) }
    }
}

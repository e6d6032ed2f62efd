import Synchronization

#if canImport(Darwin)
import Darwin
#elseif canImport(Musl)
import Musl
#else
import Glibc
#endif

/// Standard output, or error, with a buffer of its own. A broken pipe ends the process as it does any filter: by SIGPIPE.
struct StandardOutput {
    private let descriptor: Int32
    private var buffer: [UInt8] = []

    init(descriptor: Int32 = STDOUT_FILENO) { self.descriptor = descriptor }

    mutating func write(_ bytes: some Collection<UInt8>) {
        buffer.append(contentsOf: bytes)
        if buffer.count >= 65_536 { flush() }
    }

    mutating func flush() {
        var start = 0
        while start < buffer.count {
            let count = buffer.withUnsafeBytes { writeBytes(UnsafeRawBufferPointer(rebasing: $0[start...])) }
            if count <= 0 { break }
            start += count
        }
        buffer.removeAll(keepingCapacity: true)
    }

    private func writeBytes(_ bytes: UnsafeRawBufferPointer) -> Int {
        while true {
            let count = Self.write(descriptor, bytes.baseAddress, bytes.count)
            if count >= 0 || errno != EINTR { return count }
        }
    }

    private static func write(_ descriptor: Int32, _ bytes: UnsafeRawPointer?, _ count: Int) -> Int {
        #if canImport(Darwin)
        Darwin.write(descriptor, bytes, count)
        #elseif canImport(Musl)
        Musl.write(descriptor, bytes, count)
        #else
        Glibc.write(descriptor, bytes, count)
        #endif
    }
}

/// Standard input, read on a thread of its own since it blocks.
enum StandardInput {
    static func all() -> [UInt8] {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = read(STDIN_FILENO, &chunk, chunk.count)
            if count <= 0 { return bytes }
            bytes += chunk[..<count]
        }
    }

    /// The lines, without their newlines. The reader is at most so many lines ahead of the consumer.
    static func lines() -> LineSequence { LineSequence() }

    struct LineSequence: AsyncSequence {
        typealias Element = [UInt8]

        struct AsyncIterator: AsyncIteratorProtocol {
            private var pending: [UInt8] = []
            private var start = 0
            private var isAtEnd = false

            init() {}

            mutating func next() async -> [UInt8]? {
                while true {
                    if let newline = pending[start...].firstIndex(of: UInt8(ascii: "\n")) {
                        defer { start = newline + 1 }
                        return Array(pending[start..<newline])
                    }
                    if isAtEnd {
                        guard start < pending.count else { return nil }
                        defer { start = pending.count }
                        return Array(pending[start...])
                    }
                    pending.removeFirst(start)
                    start = 0
                    let chunk = await Self.readChunk()
                    if chunk.isEmpty { isAtEnd = true } else { pending += chunk }
                }
            }

            /// Blocks a thread of the pool, of which this process has nothing else to do.
            @concurrent
            private static func readChunk() async -> [UInt8] {
                var chunk = [UInt8](repeating: 0, count: 65_536)
                let count = read(STDIN_FILENO, &chunk, chunk.count)
                return Array(chunk.prefix(Swift.max(0, count)))
            }
        }

        func makeAsyncIterator() -> AsyncIterator { AsyncIterator() }
    }
}

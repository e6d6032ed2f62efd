import Dispatch
import Synchronization

/// The lines of standard input, without their newlines, for one task.
///
/// The input is read on a queue of its own: read(2) may block for ever, and a thread of Swift's pool must not.
final class LineReader: Sendable {
    private struct State {
        /// What was read and not yet taken; empty for the end of the input.
        var chunk: [UInt8]?
        var waiting: CheckedContinuation<Void, Never>?
        var isStopped = false
    }

    private struct Rest {
        var bytes: [UInt8] = []
        var start = 0
        var isAtEnd = false
    }

    private let state = Mutex(State())
    /// What was taken, and is not yet a line.
    private let rest = Mutex(Rest())
    private let queue = DispatchQueue(label: "mosq.stdin")

    /// The next line; `nil` at the end of the input, and after ``stop()``.
    func next() async -> [UInt8]? {
        while true {
            let line: [UInt8]?? = rest.withLock { Self.takeLine(&$0) }
            if let line { return line }
            guard let chunk = await nextChunk() else { return nil }
            rest.withLock { rest in
                rest.bytes.removeFirst(rest.start)
                rest.start = 0
                rest.bytes += chunk
                rest.isAtEnd = chunk.isEmpty
            }
        }
    }

    /// From any thread: there is no next line. A read(2) that blocks is left to the end of the process.
    func stop() {
        let waiting = state.withLock { state in
            state.isStopped = true
            defer { state.waiting = nil }
            return state.waiting
        }
        waiting?.resume()
    }

    /// `nil` if more has to be read, `.some(nil)` at the end.
    private static func takeLine(_ rest: inout Rest) -> [UInt8]?? {
        if let newline = rest.bytes[rest.start...].firstIndex(of: UInt8(ascii: "\n")) {
            defer { rest.start = newline + 1 }
            return Array(rest.bytes[rest.start..<newline])
        }
        guard rest.isAtEnd else { return nil }
        // The last line needs no newline.
        defer { rest.start = rest.bytes.count }
        return .some(rest.start < rest.bytes.count ? Array(rest.bytes[rest.start...]) : nil)
    }

    private func nextChunk() async -> [UInt8]? {
        queue.async { [self] in
            let chunk = StandardInput.read()
            let waiting = state.withLock { state in
                state.chunk = chunk
                defer { state.waiting = nil }
                return state.waiting
            }
            waiting?.resume()
        }
        await withCheckedContinuation { continuation in
            let isReady = state.withLock { state in
                if state.chunk != nil || state.isStopped { return true }
                state.waiting = continuation
                return false
            }
            if isReady { continuation.resume() }
        }
        return state.withLock { state in
            if state.isStopped { return nil }
            defer { state.chunk = nil }
            return state.chunk
        }
    }
}

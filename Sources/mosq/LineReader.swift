// SPDX-License-Identifier: Apache-2.0

import Dispatch
import Synchronization

#if canImport(Darwin)
import Darwin
#elseif canImport(Musl)
import Musl
#else
import Glibc
#endif

/// The lines of standard input, without their newlines, for one task.
///
/// The input is read on a queue of its own: read(2) may block indefinitely, and must not block a thread of Swift's
/// pool.
final class LineReader: Sendable {
    private struct State {
        /// Bytes that were read and not yet taken; empty at the end of the input.
        var chunk: [UInt8]?
        var waiting: CheckedContinuation<Void, Never>?
        var isStopped = false
    }

    struct Line: Equatable, Sendable {
        var bytes: [UInt8]
        /// True if the whole next line has been read already. If false, that line may never arrive.
        var isFollowed: Bool
    }

    private struct Rest {
        var bytes: [UInt8] = []
        var start = 0
        /// The first newline from `start` on.
        var newline: Int?
        var isAtEnd = false
    }

    private let state = Mutex(State())
    /// Bytes taken from ``State/chunk`` that have not been returned as lines yet.
    private let rest = Mutex(Rest())
    private let queue = DispatchQueue(label: "mosq.stdin")

    /// The next line; `nil` at the end of the input, and after ``stop()``.
    func next() async -> Line? {
        while true {
            let line: Line?? = rest.withLock { Self.takeLine(&$0) }
            if let line { return line }
            guard let chunk = await nextChunk() else { return nil }
            rest.withLock { rest in
                rest.bytes.removeFirst(rest.start)
                // The bytes kept from before have no newline.
                let searched = rest.bytes.count
                rest.start = 0
                rest.bytes += chunk
                rest.newline = Self.newline(in: rest.bytes, from: searched)
                rest.isAtEnd = chunk.isEmpty
            }
        }
    }

    /// Ends the lines. May be called on any thread. A blocked read(2) remains blocked until the process ends.
    func stop() {
        let waiting = state.withLock { state in
            state.isStopped = true
            defer { state.waiting = nil }
            return state.waiting
        }
        waiting?.resume()
    }

    /// `nil` if more has to be read, `.some(nil)` at the end.
    private static func takeLine(_ rest: inout Rest) -> Line?? {
        if let newline = rest.newline {
            let bytes = Array(rest.bytes[rest.start..<newline])
            rest.start = newline + 1
            rest.newline = Self.newline(in: rest.bytes, from: rest.start)
            return Line(bytes: bytes, isFollowed: rest.newline != nil)
        }
        guard rest.isAtEnd else { return nil }
        // The last line needs no newline.
        defer { rest.start = rest.bytes.count }
        return .some(
            rest.start < rest.bytes.count ? Line(bytes: Array(rest.bytes[rest.start...]), isFollowed: false) : nil)
    }

    private static func newline(in bytes: [UInt8], from start: Int) -> Int? {
        bytes.withUnsafeBytes { bytes in
            guard start < bytes.count, let base = bytes.baseAddress,
                let found = memchr(base + start, Int32(UInt8(ascii: "\n")), bytes.count - start)
            else { return nil }
            return UnsafeRawPointer(found) - base
        }
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

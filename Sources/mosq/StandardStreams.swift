// SPDX-License-Identifier: Apache-2.0

import Dispatch
import Mosquitto

#if canImport(Darwin)
import Darwin
#elseif canImport(Musl)
import Musl
#else
import Glibc
#endif

/// Standard output, or error, with a buffer of its own.
struct StandardOutput {
    /// The `errno` of the failure that ended the stream: the reader is gone, or the disk is full. Later output is
    /// dropped.
    private var failure: Int32?
    var isBroken: Bool { failure != nil }
    private let descriptor: Int32
    private var buffer: [UInt8] = []

    init(descriptor: Int32 = STDOUT_FILENO) { self.descriptor = descriptor }

    mutating func write(_ bytes: some Collection<UInt8>) {
        buffer.append(contentsOf: bytes)
        if buffer.count >= 65_536 { flush() }
    }

    mutating func flush() {
        var start = 0
        while start < buffer.count, !isBroken {
            let count = buffer.withUnsafeBytes { bytes in
                writeBytes(UnsafeRawBufferPointer(rebasing: bytes[start...]))
            }
            if count > 0 { start += count } else { failure = errno }
        }
        buffer.removeAll(keepingCapacity: true)
    }

    /// Throws if the stream ended for any reason but the end of its reader.
    func check() throws {
        guard let failure, failure != EPIPE else { return }
        throw CommandFailure(message: "standard output: \(String(cString: strerror(failure)))")
    }

    /// Calls `body` on another thread when nobody reads standard output any more. A command that has nothing to write
    /// would not notice. Only a pipe or a socket has a reader.
    static func whenUnread(_ body: @escaping @Sendable () -> Void) {
        guard lseek(STDOUT_FILENO, 0, SEEK_CUR) < 0, errno == ESPIPE, isatty(STDOUT_FILENO) == 0 else { return }
        // A queue of its own: the call lasts until then, or until the end of the process.
        DispatchQueue(label: "mosq.stdout").async { if waitUntilUnread() { body() } }
    }

    /// Returns true when nobody reads standard output any more; false if the system cannot tell.
    private static func waitUntilUnread() -> Bool {
        #if canImport(Darwin)
        // Darwin's poll(2) watches nothing, not even a hang-up, if it is asked for no event.
        let queue = kqueue()
        guard queue >= 0 else { return false }
        defer { close(queue) }
        // EV_CLEAR: a report for each change, instead of one after the other while there is room to write.
        var event = kevent(
            ident: UInt(STDOUT_FILENO), filter: Int16(EVFILT_WRITE), flags: UInt16(EV_ADD | EV_CLEAR), fflags: 0,
            data: 0, udata: nil)
        guard kevent(queue, &event, 1, nil, 0, nil) == 0 else { return errno == EPIPE }
        while true {
            let count = kevent(queue, nil, 0, &event, 1, nil)
            if count == 1, Int32(event.flags) & EV_EOF != 0 { return true }
            if count < 0, errno != EINTR { return false }
        }
        #else
        var entry = pollfd(fd: STDOUT_FILENO, events: 0, revents: 0)
        while poll(&entry, 1, -1) < 0, errno == EINTR {}
        return entry.revents & Int16(POLLERR | POLLHUP) != 0
        #endif
    }

    private func writeBytes(_ bytes: UnsafeRawBufferPointer) -> Int {
        while true {
            let count = systemWrite(descriptor, bytes.baseAddress, bytes.count)
            if count >= 0 || errno != EINTR && !waitIfBusy(descriptor, POLLOUT) { return count }
        }
    }
}

/// Writes a line to standard error, in one piece. Text of others that would steer a terminal is escaped.
func standardError(_ line: String) {
    var output = StandardOutput(descriptor: STDERR_FILENO)
    output.write((ForeignText.escaping(line, exceptLineBreaks: true) + "\n").utf8)
    output.flush()
}

enum StandardInput {
    /// Reads everything up to the end of the input, however long that takes.
    static func all() -> [UInt8] {
        var bytes: [UInt8] = []
        while true {
            let chunk = read()
            if chunk.isEmpty { return bytes }
            bytes += chunk
        }
    }

    /// Reads the available bytes, and waits for the first one; empty at the end of the input.
    static func read() -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: 65_536) { buffer, count in
            var result: Int
            repeat {
                result = systemRead(STDIN_FILENO, buffer.baseAddress, buffer.count)
            } while result < 0 && (errno == EINTR || waitIfBusy(STDIN_FILENO, POLLIN))
            count = max(0, result)
        }
    }
}

/// Waits until the descriptor is ready, if a call failed because it was not. Another process with the same terminal or
/// pipe may have made it non-blocking; EAGAIN then means neither the end of the input nor a failed output.
private func waitIfBusy(_ descriptor: Int32, _ events: Int32) -> Bool {
    guard errno == EAGAIN || errno == EWOULDBLOCK else { return false }
    var entry = pollfd(fd: descriptor, events: Int16(events), revents: 0)
    return poll(&entry, 1, -1) >= 0 || errno == EINTR
}

/// Calls `write(2)` from file scope: inside the type, methods of the same name shadow it.
private func systemWrite(_ descriptor: Int32, _ bytes: UnsafeRawPointer?, _ count: Int) -> Int {
    write(descriptor, bytes, count)
}

private func systemRead(_ descriptor: Int32, _ bytes: UnsafeMutableRawPointer?, _ count: Int) -> Int {
    read(descriptor, bytes, count)
}

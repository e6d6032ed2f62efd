// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import Synchronization

#if canImport(Darwin)
import Darwin
#elseif canImport(Musl)
import Musl
#else
import Glibc
#endif

/// A file with the health of a client, which a reader finds complete at any time.
final class HealthFile: Sendable {
    let path: String
    private let isRemoved = Mutex(false)

    init(path: String) { self.path = path }

    /// Replaces the file. Throws the system's error. Does nothing after ``remove()``.
    func write(_ report: HealthReport) throws(SystemError) {
        // A name of its own, so that a process that is killed meanwhile leaves one such file and no more.
        let draft = path + ".new"
        try isRemoved.withLock { isRemoved throws(SystemError) in
            if isRemoved { return }
            do throws(SystemError) {
                try Self.write(Array((report.json + "\n").utf8), to: draft)
                if rename(draft, path) != 0 { throw SystemError.last }
            } catch {
                unlink(draft)
                throw error
            }
        }
    }

    /// Removes the file for good, after a write in progress on another thread.
    func remove() {
        isRemoved.withLock { isRemoved in
            isRemoved = true
            _ = unlink(path)
        }
    }

    private static func write(_ bytes: [UInt8], to path: String) throws(SystemError) {
        // A probe may run as another user. A symbolic link in a shared directory is not followed.
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw SystemError.last }
        let count = writeAll(bytes, descriptor)
        // A part of the bytes is all that the disk has room for.
        let failure = count < 0 ? SystemError.last : SystemError(code: ENOSPC)
        close(descriptor)
        if count < bytes.count { throw failure }
    }

    /// A failed call of the system.
    struct SystemError: Error {
        let code: Int32
        var reason: String { String(cString: strerror(code)) }

        static var last: SystemError { SystemError(code: errno) }
    }
}

/// Calls `write(2)` from file scope: inside the type, methods of the same name shadow it. One call suffices for a
/// regular file, unless the disk is full.
private func writeAll(_ bytes: [UInt8], _ descriptor: Int32) -> Int {
    write(descriptor, bytes, bytes.count)
}

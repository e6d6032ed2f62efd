// SPDX-License-Identifier: Apache-2.0

import CMosquitto

#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The system calls. stdio is avoided, since it would keep a copy of a key in its buffer.
extension FileReader {
    @Sendable
    static func look(_ path: String, _ look: Look) -> Finding {
        do throws(FileFailure) {
            switch look {
            case .read(let limit):
                let (content, exposure) = try contentWithExposure(of: path, limit)
                return .content(content, exposure)
            case .stamp: return .stamp(FileStamp(path: path))
            case .directory:
                guard let directory = opendir(path) else { throw FileFailure(.system(errno)) }
                closedir(directory)
                return .directory
            }
        } catch {
            return .failure(error)
        }
    }

    /// Returns the content of a regular file of at most `limit` bytes, read on the caller's thread: a file system that
    /// does not respond blocks it. For a command that has nothing else to do yet.
    package static func content(of path: String, limit: Int) throws(FileFailure) -> MQTTSecret {
        try contentWithExposure(of: path, limit).content
    }

    private static func contentWithExposure(
        of path: String, _ limit: Int
    ) throws(FileFailure) -> (content: MQTTSecret, FileExposure?) {
        // Without O_NONBLOCK, opening a FIFO blocks until a writer opens it.
        let descriptor = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
        if descriptor < 0 { throw FileFailure(.system(errno)) }
        defer { closeDescriptor(descriptor) }
        var status = stat()
        if fstat(descriptor, &status) != 0 { throw FileFailure(.system(errno)) }
        switch status.st_mode & mode_t(S_IFMT) {
        case mode_t(S_IFREG): break
        case mode_t(S_IFDIR): throw FileFailure(.isDirectory)
        default: throw FileFailure(.notRegular)
        }
        if status.st_size > limit { throw FileFailure(.tooLarge(limit)) }
        let content = try content(of: descriptor, expecting: Int(status.st_size), limit)
        return (content, FileExposure(path: path, status: status))
    }

    /// Reads up to one byte more than the limit. A file that grows meanwhile, or reports no size, as below /proc, is
    /// read in growing pieces.
    private static func content(
        of descriptor: Int32, expecting size: Int, _ limit: Int
    ) throws(FileFailure) -> MQTTSecret {
        var buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: size + 1, alignment: 1)
        defer { discard(buffer) }
        var count = 0
        while true {
            let result = readBytes(descriptor, UnsafeMutableRawBufferPointer(rebasing: buffer[count...]))
            if result < 0 {
                if errno == EINTR { continue }
                throw FileFailure(.system(errno))
            }
            if result == 0 { break }
            count += result
            if count > limit { throw FileFailure(.tooLarge(limit)) }
            guard count == buffer.count else { continue }
            let larger = UnsafeMutableRawBufferPointer.allocate(
                byteCount: min(max(2 * count, 4_096), limit + 1), alignment: 1)
            larger.copyMemory(from: UnsafeRawBufferPointer(rebasing: buffer[..<count]))
            discard(buffer)
            buffer = larger
        }
        return MQTTSecret(bytes: UnsafeRawBufferPointer(rebasing: buffer[..<count]))
    }

    private static func discard(_ buffer: UnsafeMutableRawBufferPointer) {
        OPENSSL_cleanse(buffer.baseAddress, buffer.count)
        buffer.deallocate()
    }
}

/// `read(2)`, under a name that a method called `read` does not hide.
private func readBytes(_ descriptor: Int32, _ buffer: UnsafeMutableRawBufferPointer) -> Int {
    read(descriptor, buffer.baseAddress, buffer.count)
}

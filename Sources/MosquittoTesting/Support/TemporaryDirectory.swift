// SPDX-License-Identifier: Apache-2.0

#if canImport(Darwin)
internal import Darwin
#elseif canImport(Musl)
internal import Musl
#else
internal import Glibc
#endif

#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

/// A separate folder for one test, removed with its content when the last reference is released.
///
/// Only its owner can enter it, since tests put private keys and tokens there.
public final class TemporaryDirectory: Sendable {
    /// The absolute path of the folder, without a trailing slash.
    public let path: String

    /// The system's temporary folder.
    static var base: String { getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp" }

    /// Creates an empty folder below the system's temporary folder.
    ///
    /// - Throws: ``MosquittoTestingError/systemCall(_:errno:)`` if that fails.
    public init() throws(MosquittoTestingError) {
        var template = Array("\(Self.base)/swift-mosquitto-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw .systemCall("mkdtemp", errno: errno) }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit {
        try? FileManager.default.removeItem(atPath: path)
    }

    /// Writes a file in one step: a reader sees the old text or the new text, never a part.
    ///
    /// - Parameters:
    ///   - text: The whole content, written in UTF-8.
    ///   - name: The file's name inside the folder.
    /// - Returns: The absolute path of the file.
    /// - Throws: ``MosquittoTestingError/systemCall(_:errno:)``.
    @discardableResult
    public func write(_ text: String, to name: String) throws(MosquittoTestingError) -> String {
        let target = "\(path)/\(name)"
        var template = Array("\(target).XXXXXX".utf8CString)
        let descriptor = mkstemp(&template)
        guard descriptor >= 0 else { throw .systemCall("mkstemp", errno: errno) }
        let failure = Self.writeAll(Array(text.utf8), to: descriptor)
        close(descriptor)
        guard failure == 0 else {
            unlink(template)
            throw .systemCall("write", errno: failure)
        }
        // rename(2) replaces the target atomically; a credential file watched by a client must never be seen
        // half-written.
        guard rename(template, target) == 0 else { throw .systemCall("rename", errno: errno) }
        return target
    }

    /// Writes all bytes and returns 0, or the `errno` of the write that failed.
    private static func writeAll(_ bytes: [UInt8], to descriptor: Int32) -> Int32 {
        var remaining = bytes[...]
        while !remaining.isEmpty {
            let written = remaining.withUnsafeBytes { systemWrite(descriptor, $0.baseAddress, $0.count) }
            if written < 0 {
                if errno == EINTR { continue }
                return errno
            }
            remaining = remaining.dropFirst(written)
        }
        return 0
    }
}

/// Calls `write(2)` from file scope: inside the type, the method of the same name shadows it.
private func systemWrite(_ descriptor: Int32, _ bytes: UnsafeRawPointer?, _ count: Int) -> Int {
    write(descriptor, bytes, count)
}

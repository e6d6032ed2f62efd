// SPDX-License-Identifier: Apache-2.0

import Foundation
import MosquittoTesting
import Synchronization
import Testing

/// A pipe that is the standard input or output of a command. The test has the other end, and reads nothing meanwhile.
final class CommandPipe: Sendable {
    enum Stream { case input, output }

    private let stream: Stream
    private let folder: TemporaryDirectory
    private let path: String
    private let descriptor: Mutex<Int32>

    init(_ stream: Stream) throws {
        self.stream = stream
        folder = try TemporaryDirectory()
        path = "\(folder.path)/pipe"
        try #require(mkfifo(path, 0o600) == 0)
        // A writer that is alone could not open it.
        let mode = stream == .input ? O_RDWR : O_RDONLY
        let descriptor = open(path, mode | O_NONBLOCK | O_CLOEXEC)
        try #require(descriptor >= 0)
        self.descriptor = Mutex(descriptor)
    }

    deinit { close() }

    /// Starts `mosq` with the pipe.
    func start(_ arguments: [String]) throws -> MosqProcess {
        let words = ([MosqProcess.executable.path] + arguments).map { "'\($0)'" }.joined(separator: " ")
        let redirection = stream == .input ? "<" : ">"
        return try MosqProcess(["-c", "exec \(words) \(redirection)'\(path)'"], executable: "/bin/sh")
    }

    /// Number of bytes in the pipe.
    private var available: Int32 {
        #if canImport(Darwin)
        // FIONREAD, a macro that Swift does not import.
        let request: UInt = 0x4004_667F
        #else
        let request = UInt(FIONREAD)
        #endif
        var count: Int32 = 0
        return ioctl(descriptor.withLock { $0 }, request, &count) == 0 ? count : -1
    }

    func waitUntilFull() async -> Bool {
        // Linux: 65,536 bytes by default. The last line did not fit.
        await eventually(timeout: .seconds(20)) { available > 65_536 - 4_096 - 200 }
    }

    func waitUntilEmpty() async -> Bool { await eventually(timeout: .seconds(20)) { available == 0 } }

    func write(_ text: String) throws {
        let bytes = Array(text.utf8)
        try #require(descriptor.withLock { Foundation.write($0, bytes, bytes.count) } == bytes.count)
    }

    /// Everything in the pipe, whose writer has gone.
    func rest() -> String {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        let descriptor = descriptor.withLock { $0 }
        while case let count = read(descriptor, &buffer, buffer.count), count > 0 { bytes += buffer[..<count] }
        return String(decoding: bytes, as: UTF8.self)
    }

    func close() {
        descriptor.withLock { descriptor in
            if descriptor >= 0 { _ = Foundation.close(descriptor) }
            descriptor = -1
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

import Foundation
import MosquittoTesting
import Synchronization
import Testing

/// The standard input of a command, which ends when the test says so.
final class InputPipe: Sendable {
    private let folder: TemporaryDirectory
    private let path: String
    private let descriptor: Mutex<Int32>

    init() throws {
        folder = try TemporaryDirectory()
        path = "\(folder.path)/pipe"
        try #require(mkfifo(path, 0o600) == 0)
        // For reading too, so that this open needs no reader.
        let descriptor = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC)
        try #require(descriptor >= 0)
        self.descriptor = Mutex(descriptor)
    }

    deinit { close() }

    /// Starts `mosq` with the pipe as its standard input.
    func start(_ arguments: [String]) throws -> MosqProcess {
        let words = ([MosqProcess.executable.path] + arguments).map { "'\($0)'" }.joined(separator: " ")
        return try MosqProcess(["-c", "exec \(words) <'\(path)'"], executable: "/bin/sh")
    }

    func write(_ text: String) throws {
        let count = descriptor.withLock { descriptor in
            Array(text.utf8).withUnsafeBytes { Foundation.write(descriptor, $0.baseAddress, $0.count) }
        }
        try #require(count == text.utf8.count)
    }

    /// True if the command has read everything.
    var isEmpty: Bool {
        var request = descriptor.withLock { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        return poll(&request, 1, 0) == 0
    }

    /// Ends the input.
    func close() {
        descriptor.withLock { descriptor in
            if descriptor >= 0 { _ = Foundation.close(descriptor) }
            descriptor = -1
        }
    }
}

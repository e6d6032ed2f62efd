// SPDX-License-Identifier: Apache-2.0

import Foundation
import MosquittoTesting
import Synchronization
import Testing
import Turns

@testable import Mosquitto

/// File inspections that block on the reader's threads until the test releases them. Each path has its own gate: a
/// thread that begins its next inspection must not pass a gate that was opened for another.
private final class HungFiles: Sendable {
    private let gates = Mutex<[String: DispatchSemaphore]>([:])
    private let begun = Mutex<[String]>([])
    private let content = Mutex("old")

    var paths: [String] { begun.withLock { $0 } }

    func setContent(_ text: String) { content.withLock { $0 = text } }

    func letGo(_ path: String, count: Int = 1) {
        let gate = gate(of: path)
        for _ in 0..<count { gate.signal() }
    }

    private func gate(of path: String) -> DispatchSemaphore {
        gates.withLock { gates in
            let gate = gates[path] ?? DispatchSemaphore(value: 0)
            gates[path] = gate
            return gate
        }
    }

    var look: @Sendable (String, FileReader.Look) -> FileReader.Finding {
        { path, _ in
            self.begun.withLock { $0.append(path) }
            let content = self.content.withLock { $0 }
            self.gate(of: path).wait()
            return .content(MQTTSecret(content))
        }
    }
}

@Suite("Files on a file system that does not answer (core 16, security 12)", .turn(.units), .timeLimit(.minutes(1)))
struct HungFileTests {
    private let files = HungFiles()
    private let reader: FileReader

    init() { reader = FileReader(files.look) }

    private func read(_ path: String, patience: Duration = .seconds(30)) -> Task<String?, Never> {
        Task { [reader] in try? await reader.read(path, limit: 10, patience: patience).text }
    }

    @Test func `a caller's patience ends, and Swift's threads are free meanwhile`() async {
        let start = ContinuousClock.now
        await withTaskGroup(of: FileFailure?.self) { group in
            for index in 0..<64 {
                group.addTask { [reader] in
                    do throws(FileFailure) {
                        _ = try await reader.read("file\(index)", limit: 10, patience: .milliseconds(200))
                        return nil
                    } catch {
                        return error
                    }
                }
            }
            for await failure in group {
                #expect(failure?.isOverdue == true)
                #expect(failure?.reason == "could not be read within 0.2 seconds: its file system does not answer")
            }
        }
        #expect(ContinuousClock.now - start < .seconds(20))
        #expect(files.paths.count <= 16)
        for index in 0..<64 { files.letGo("file\(index)") }
    }

    @Test func `one look at a path is under way, and who waits for it shares the next`() async {
        let first = read("a")
        #expect(await eventually { files.paths == ["a"] })
        files.setContent("new")
        let others = (0..<10).map { _ in read("a") }
        let other = read("b")
        #expect(await eventually { files.paths == ["a", "b"] })
        files.letGo("a")
        files.letGo("b")
        #expect(await first.value == "old")
        #expect(await other.value == "new")
        files.letGo("a", count: 10)
        for task in others { #expect(await task.value == "new", "not older than the question") }
        // Ten requests, some of which may have arrived after the second inspection began.
        #expect(files.paths.count <= 12)
    }

    @Test func `who has given up leaves no trace`() async {
        let hung = read("a", patience: .seconds(1))
        #expect(await hung.value == nil)
        let impatient = (0..<10).map { _ in read("a", patience: .zero) }
        for task in impatient { #expect(await task.value == nil) }
        #expect(files.paths == ["a"])
        let patient = read("a")
        files.letGo("a", count: 2)
        #expect(await patient.value == "old")
    }

    @Test func `more paths than threads are read in turn`() async {
        let tasks = (0..<40).map { read("file\($0)") }
        #expect(await eventually { files.paths.count == 16 })
        for index in 0..<40 { files.letGo("file\(index)") }
        for task in tasks { #expect(await task.value == "old") }
        #expect(Set(files.paths).count == 40)
    }
}

@Suite("Reading a file (core 16, security 12)", .turn(.units), .timeLimit(.minutes(1)))
struct FileReaderTests {
    private let folder: TemporaryDirectory

    init() throws { folder = try TemporaryDirectory() }

    private func read(_ path: String, limit: Int = 100) async throws(FileFailure) -> String {
        try await FileReader.shared.read(path, limit: limit).text
    }

    private func failure(_ path: String, limit: Int = 100) async -> FileFailure? {
        await #expect(throws: FileFailure.self) { _ = try await read(path, limit: limit) }
    }

    @Test(arguments: [0, 1, 99, 100])
    func `gives all of it, up to the limit`(length: Int) async throws {
        let text = String(repeating: "x", count: length)
        #expect(try await read(folder.write(text, to: "file")) == text)
    }

    @Test func `a file that is too large is not read`() async throws {
        #expect(await failure(try folder.write(String(repeating: "x", count: 101), to: "file"))?.kind == .tooLarge(100))
        let huge = try folder.write("", to: "huge")
        #expect(truncate(huge, 6 << 30) == 0)
        #expect(await failure(huge, limit: 16 << 20)?.reason == "has more than 16 MiB")
    }

    #if os(Linux)
    @Test func `a file without a size is read to its end, or to the limit`() async throws {
        #expect(try await read("/proc/self/status", limit: 1 << 20).contains("VmRSS"))
        #expect(await failure("/proc/self/status", limit: 20)?.kind == .tooLarge(20))
    }
    #endif

    @Test func `what is no regular file is refused at once`() async throws {
        let fifo = folder.path + "/fifo"
        #expect(mkfifo(fifo, 0o600) == 0)
        #expect(await failure(fifo)?.reason == "is not a regular file")
        #expect(await failure("/dev/zero")?.reason == "is not a regular file")
        #expect(await failure(folder.path)?.kind == .isDirectory)
        #expect(await failure(folder.path + "/none")?.systemCode == ENOENT)
    }

    @Test func `a stamp follows links, and is zero for what is not there`() async throws {
        let path = try folder.write("x", to: "file")
        #expect(symlink(path, folder.path + "/link") == 0)
        let stamp = try await FileReader.shared.stamp(path)
        #expect(try await FileReader.shared.stamp(folder.path + "/link") == stamp)
        #expect(try await FileReader.shared.stamp(folder.path + "/none") != stamp)
    }

    @Test func `a directory is looked at without reading it`() async throws {
        try await FileReader.shared.checkDirectory(folder.path)
        let error = await #expect(throws: FileFailure.self) {
            try await FileReader.shared.checkDirectory(folder.path + "/none")
        }
        #expect(error?.systemCode == ENOENT)
    }
}

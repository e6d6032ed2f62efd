// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing
import Turns

@testable import MosquittoTesting

@Suite(.turn(.tools)) struct SupportTests {
    @Test func `A temporary directory replaces files and removes itself`() throws {
        var directory: TemporaryDirectory? = try TemporaryDirectory()
        let path = try #require(try directory?.write("one", to: "file"))
        #expect(try directory?.write("two", to: "file") == path)
        #expect(try String(contentsOfFile: path, encoding: .utf8) == "two")
        let folder = try #require(directory?.path)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["file"])
        directory = nil
        #expect(!FileManager.default.fileExists(atPath: folder))
    }

    @Test func `A port that another process has reserved is not free until that process ends`() async throws {
        let directory = try TemporaryDirectory()
        let (file, log) = (try directory.write("", to: "ports"), directory.path + "/log")
        let (ports, free) = (PortReservations.ports, 100)
        let program = """
            import fcntl, time
            file = open("\(file)", "r+")
            fcntl.lockf(file, fcntl.LOCK_EX, \(ports.count - free), \(ports.lowerBound))
            print("reserved", flush=True)
            time.sleep(600)
            """
        let other = try ChildProcess(executable: "/usr/bin/env", arguments: ["python3", "-c", program], log: log)
        defer { other.kill() }
        #expect(await eventually { (try? String(contentsOfFile: log, encoding: .utf8)) == "reserved\n" })

        let reservations = PortReservations(file: file)
        let given = try (0..<20).map { _ in try reservations.next() }
        #expect(Set(given).count == given.count)
        #expect(given.allSatisfy { $0 >= ports.upperBound - free })

        other.kill()
        // The search begins anywhere: 100 of 9,760 times among the last ones.
        let later = try (0..<10).map { _ in try reservations.next() }
        #expect(later.contains { $0 < ports.upperBound - free })
    }

    @Test func `Eventually evaluates its condition even without time`() async {
        #expect(await eventually(timeout: .zero) { true })
        #expect(await !eventually(timeout: .milliseconds(1)) { false })
    }
}

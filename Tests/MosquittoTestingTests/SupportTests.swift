// SPDX-License-Identifier: Apache-2.0

import Foundation
import MosquittoTesting
import Testing
import Turns

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

    @Test func `Eventually evaluates its condition even without time`() async {
        #expect(await eventually(timeout: .zero) { true })
        #expect(await !eventually(timeout: .milliseconds(1)) { false })
    }
}

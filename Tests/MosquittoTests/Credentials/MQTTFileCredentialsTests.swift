// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing
import Turns

@testable import Mosquitto

/// A directory that is removed with this object.
private final class Folder {
    let url = FileManager.default.temporaryDirectory.appending(path: "mosquitto-tests-\(UUID())")

    init() throws { try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true) }
    deinit { try? FileManager.default.removeItem(at: url) }

    func path(_ name: String) -> String { url.appending(path: name).path }

    @discardableResult
    func write(_ bytes: some Sequence<UInt8>, to name: String = "token") throws -> String {
        try Data(bytes).write(to: url.appending(path: name))
        return path(name)
    }
}

@Suite(.turn(.units)) struct `A token file` {
    private let folder: Folder
    private let attempt = MQTTConnectAttempt(
        number: 1, isInitial: true, endpoint: MQTTEndpoint(host: "broker", port: 8883), purpose: .connect,
        lastFailure: nil)

    init() throws { folder = try Folder() }

    private func read(_ path: String) async throws -> String? {
        try await MQTTFileCredentials(path: path).credentials(for: attempt).password?.text
    }

    private func failure(_ path: String) async throws -> MQTTError {
        try #require(await #expect(throws: MQTTError.self) { _ = try await read(path) })
    }

    @Test func `gives its text as the password, with the user name`() async throws {
        let path = try folder.write("abc.def.ghi".utf8)
        let credentials = try await MQTTFileCredentials(path: path, username: "device").credentials(for: attempt)
        #expect(credentials.username == "device")
        #expect(credentials.password?.text == "abc.def.ghi")
        #expect(MQTTFileCredentials(path: path).source == "file")
    }

    @Test(arguments: ["t", "t\n", "t\r\n", "t\n\n", "t\r\n\r\n", "t\r"])
    func `loses the newlines at its end`(content: String) async throws {
        #expect(try await read(folder.write(content.utf8)) == "t")
    }

    @Test(arguments: ["a b", " t", "t ", "a\nb\n", "\nt", "a\tb", "t \n"])
    func `with white space in the token is refused, and says so (newcomer D6)`(content: String) async throws {
        let error = try await failure(folder.write(content.utf8))
        #expect(error.code == .credentials)
        #expect(error.message.contains("has white space or a newline"))
    }

    // mqtt-cli#136, OSMO#1210
    @Test(arguments: ["\u{FEFF}t", "\u{FEFF}t\r\n", "t\n\n\n"])
    func `loses a byte order mark (case 11)`(content: String) async throws {
        #expect(try await read(folder.write(content.utf8)) == "t")
    }

    @Test(arguments: [
        ("Bearer abc.def.ghi", "begins with \"Bearer\""), ("bearer\tt\n", "begins with \"Bearer\""),
        ("Authorization: Bearer t", "begins with \"Bearer\""), ("\"t\"\n", "has quotes around it"),
        ("'t'", "has quotes around it"), ("\u{FEFF}\u{FEFF}t", "begins with a byte order mark"),
    ])
    func `with text around the token is refused, and says what is in it (case 11)`(
        content: String, text: String
    ) async throws {
        let error = try await failure(folder.write(content.utf8))
        #expect(error.code == .credentials)
        #expect(error.message.contains(text))
        #expect(!error.message.contains("def"))
    }

    @Test(arguments: ["Bearer", "bearer.t", "t\"", "\"", "'t\""])
    func `may have a token that only looks odd`(content: String) async throws {
        #expect(try await read(folder.write(content.utf8)) == content)
    }

    @Test(.timeLimit(.minutes(1)))
    func `that is a FIFO is refused at once (core 16)`() async throws {
        let path = folder.path("fifo")
        #expect(mkfifo(path, 0o600) == 0)
        #expect(try await failure(path).message.contains("is not a regular file"))
    }

    @Test func `that is endless is refused before it is read (security 12)`() async throws {
        let path = try folder.write([])
        #expect(truncate(path, 6 << 30) == 0)
        #expect(try await failure(path).message.contains("more than 65535 bytes"))
        #expect(try await failure("/dev/zero").message.contains("is not a regular file"))
    }

    @Test(arguments: ["", "\n", "\r\n", "\n\n"])
    func `without a token is refused`(content: String) async throws {
        let path = try folder.write(content.utf8)
        let error = try await failure(path)
        #expect(error.code == .credentials)
        #expect(error.phase == .credentials)
        #expect(error.message.contains("is empty"))
        #expect(error.message.contains("token\""))
    }

    @Test(arguments: ["", "\n", "\r\n"])
    func `may have 65,535 bytes and no more`(newline: String) async throws {
        let most = String(repeating: "x", count: 65_535)
        #expect(try await read(folder.write((most + newline).utf8)) == most)
        let error = try await failure(folder.write((most + "x" + newline).utf8))
        #expect(error.message.contains("more than 65535 bytes"))
    }

    @Test(arguments: [[0xFF, 0xFE], [0x61, 0xC3], [0xED, 0xA0, 0x80]] as [[UInt8]])
    func `must be UTF-8`(bytes: [UInt8]) async throws {
        #expect(try await failure(folder.write(bytes)).message.contains("is not UTF-8 text"))
    }

    @Test func `that is missing is named`() async throws {
        let path = folder.path("missing")
        let error = try await failure(path)
        #expect(error.message.contains("No such file"))
        #expect(error.message.contains("missing"))
    }

    @Test func `must not be a folder`() async throws {
        #expect(try await failure(folder.url.path).code == .credentials)
    }

    @Test func `is read anew each time, through a symbolic link that is swapped`() async throws {
        try folder.write("first\n".utf8, to: "1")
        try folder.write("second\n".utf8, to: "2")
        let link = folder.url.appending(path: "token")
        try FileManager.default.createSymbolicLink(at: link, withDestinationURL: folder.url.appending(path: "1"))
        #expect(try await read(link.path) == "first")
        let fresh = folder.url.appending(path: "fresh")
        try FileManager.default.createSymbolicLink(at: fresh, withDestinationURL: folder.url.appending(path: "2"))
        #expect(rename(fresh.path, link.path) == 0)
        #expect(try await read(link.path) == "second")
    }

    @Test func `an error does not show what is in it`() async throws {
        let error = try await failure(folder.write("s3cr3t".utf8.map { $0 } + [0xFF]))
        #expect(!error.description.contains("s3cr3t"))
    }
}

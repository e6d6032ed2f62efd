// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
import Foundation
import Glibc
import Mosquitto
import MosquittoTesting
import Testing
import Turns

@testable import mosq

/// The passphrase of a key, asked for at a terminal.
@Suite("A passphrase prompt", .turn(.command), .timeLimit(.minutes(1)))
struct PassphrasePromptTests {
    private struct NoTerminal: Error {}

    /// A terminal, and the end at which a person types.
    private final class Terminal: Sendable {
        let person: Int32
        let terminal: Int32

        init() throws {
            // Swift does not import posix_openpt(3) and its relatives: see pts(4) for these requests.
            let (unlock, getNumber): (UInt, UInt) = (0x4004_5431, 0x8004_5430)
            var (isLocked, number): (Int32, UInt32) = (0, 0)
            person = open("/dev/ptmx", O_RDWR | O_NOCTTY)
            guard person >= 0, ioctl(person, unlock, &isLocked) == 0, ioctl(person, getNumber, &number) == 0 else {
                throw NoTerminal()
            }
            terminal = open("/dev/pts/\(number)", O_RDWR | O_NOCTTY)
            guard terminal >= 0 else { throw NoTerminal() }
        }

        deinit {
            close(terminal)
            close(person)
        }

        var echoes: Bool {
            var settings = termios()
            return tcgetattr(terminal, &settings) == 0 && settings.c_lflag & tcflag_t(ECHO) != 0
        }

        /// Types when the terminal has stopped to echo.
        func type(_ text: String) async -> Bool {
            guard await eventually({ !self.echoes }) else { return false }
            return text.utf8CString.withUnsafeBytes { write(person, $0.baseAddress, $0.count - 1) } == text.utf8.count
        }
    }

    private func answer(_ typed: String) async throws -> Result<String, any Error> {
        let terminal = try Terminal()
        #expect(terminal.echoes)
        async let isTyped = terminal.type(typed)
        // It blocks, on a thread of its own.
        let result = await withCheckedContinuation { continuation in
            Thread.detachNewThread {
                continuation.resume(
                    returning: Result { try mosq.Terminal.readSecret(prompt: "? ", from: terminal.terminal).text })
            }
        }
        #expect(await isTyped)
        #expect(terminal.echoes)
        return result
    }

    @Test(arguments: [
        ("secret\n", "secret"), ("secrex\u{7F}t\r", "secret"), ("no\u{15}secret\n", "secret"), ("ü\u{8}\n", ""),
        ("secret\u{4}", "secret"),
    ])
    func `has a line, which may be edited`(typed: String, expected: String) async throws {
        #expect(try await answer(typed).get() == expected)
    }

    @Test(arguments: ["\u{3}", "sec\u{3}", "\u{1C}", "\u{1A}"])
    func `ends with the keys that end programs, and the terminal echoes again`(typed: String) async throws {
        let result = try await answer(typed)
        let failure = #expect(throws: CommandFailure.self) { _ = try result.get() }
        #expect(failure?.status == 130)
    }
}
#endif

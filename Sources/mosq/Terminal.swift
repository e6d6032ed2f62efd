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

/// The terminal that started the command, even if the standard streams are redirected.
enum Terminal {
    /// True if standard output is a terminal.
    static let isOutput = isatty(STDOUT_FILENO) == 1

    /// The settings of terminals that do not echo at the moment, by their descriptors.
    private static let silenced = Mutex<[Int32: termios]>([:])
    /// The command may end while it asks, since the time of an attempt is over. C calls the closure in exit(3).
    private static let restoresAtExit: Void = {
        atexit { for descriptor in Terminal.silenced.withLock({ Array($0.keys) }) { Terminal.restore(descriptor) } }
    }()

    private static func restore(_ descriptor: Int32) {
        guard var settings = silenced.withLock({ $0.removeValue(forKey: descriptor) }) else { return }
        tcsetattr(descriptor, TCSAFLUSH, &settings)
    }

    /// Asks for a line without showing it.
    static func readSecret(prompt: String) throws -> MQTTSecret {
        let descriptor = open("/dev/tty", O_RDWR | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw CommandFailure(
                message: "The key file is encrypted, and there is no terminal to ask for its passphrase.")
        }
        defer { close(descriptor) }
        return try readSecret(prompt: prompt, from: descriptor)
    }

    /// Reads from a terminal without echo, which is on again when this returns. The keys that send signals are read as
    /// characters meanwhile: a process that ends here would leave the terminal without echo. So are those that edit the
    /// line.
    static func readSecret(prompt: String, from descriptor: Int32) throws -> MQTTSecret {
        _ = prompt.utf8CString.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count - 1) }
        var settings = termios()
        let isTerminal = tcgetattr(descriptor, &settings) == 0
        let before = settings
        if isTerminal {
            _ = restoresAtExit
            silenced.withLock { $0[descriptor] = before }
            settings.c_lflag &= ~tcflag_t(ECHO | ISIG | ICANON)
            tcsetattr(descriptor, TCSAFLUSH, &settings)
        }
        defer {
            if isTerminal { restore(descriptor) }
            _ = write(descriptor, "\n", 1)
        }
        var line: [UInt8] = []
        defer { for index in line.indices { line[index] = 0 } }
        line.reserveCapacity(1_024)
        var byte: UInt8 = 0
        while line.count < 1_024, read(descriptor, &byte, 1) == 1, byte != UInt8(ascii: "\n") {
            guard isTerminal else {
                line.append(byte)
                continue
            }
            switch byte {
            // ^C, ^\ and ^Z.
            case 0x03, 0x1C, 0x1A: throw CommandFailure(lines: ["Error: No passphrase was given."], status: 130)
            // ^D
            case 0x04: return MQTTSecret(bytes: line)
            case 0x08, 0x7F: eraseCharacter(&line)
            // ^U
            case 0x15: while !line.isEmpty { eraseCharacter(&line) }
            default: line.append(byte)
            }
        }
        return MQTTSecret(bytes: line)
    }

    /// Removes the last character of UTF-8.
    private static func eraseCharacter(_ line: inout [UInt8]) {
        while let byte = line.popLast(), byte & 0xC0 == 0x80 {}
    }
}

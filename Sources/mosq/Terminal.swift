import Mosquitto

#if canImport(Darwin)
import Darwin
#elseif canImport(Musl)
import Musl
#else
import Glibc
#endif

/// The terminal that started the command, even if the standard streams are redirected.
enum Terminal {
    /// Asks for a line without showing it.
    static func readSecret(prompt: String) throws -> MQTTSecret {
        let descriptor = open("/dev/tty", O_RDWR | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw CommandFailure(
                message: "The key file is encrypted, and there is no terminal to ask for its passphrase.")
        }
        defer { close(descriptor) }
        _ = prompt.utf8CString.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count - 1) }
        var settings = termios()
        let isTerminal = tcgetattr(descriptor, &settings) == 0
        let before = settings
        if isTerminal {
            settings.c_lflag &= ~tcflag_t(ECHO)
            tcsetattr(descriptor, TCSAFLUSH, &settings)
        }
        defer {
            if isTerminal {
                var before = before
                tcsetattr(descriptor, TCSAFLUSH, &before)
            }
            _ = write(descriptor, "\n", 1)
        }
        var line: [UInt8] = []
        defer { for index in line.indices { line[index] = 0 } }
        line.reserveCapacity(1_024)
        var byte: UInt8 = 0
        while line.count < 1_024, read(descriptor, &byte, 1) == 1, byte != UInt8(ascii: "\n") { line.append(byte) }
        return MQTTSecret(bytes: line)
    }
}

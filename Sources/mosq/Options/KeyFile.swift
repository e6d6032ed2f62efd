import Mosquitto

#if canImport(Darwin)
import Darwin
#elseif canImport(Musl)
import Musl
#else
import Glibc
#endif

/// The beginning of a file with a key, of which no other copy remains in memory.
enum KeyFile {
    private static let limit = 65_536

    /// Returns `nil` if the file cannot be read. A FIFO that nobody writes to is empty: it does not block.
    static func read(_ path: String) -> MQTTSecret? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: limit, alignment: 1)
        defer {
            overwrite(buffer)
            buffer.deallocate()
        }
        var count = 0
        while count < limit, case let step = systemRead(descriptor, buffer.baseAddress! + count, limit - count),
            step > 0
        {
            count += step
        }
        return MQTTSecret(bytes: UnsafeRawBufferPointer(rebasing: buffer[..<count]))
    }
}

/// Zeros memory, which the compiler does not leave out.
private func overwrite(_ buffer: UnsafeMutableRawBufferPointer) {
    guard let start = buffer.baseAddress else { return }
    #if canImport(Darwin)
    memset_s(start, buffer.count, 0, buffer.count)
    #else
    explicit_bzero(start, buffer.count)
    #endif
}

/// `read(2)`, out of reach of the method of the same name.
private func systemRead(_ descriptor: Int32, _ bytes: UnsafeMutableRawPointer, _ count: Int) -> Int {
    read(descriptor, bytes, count)
}

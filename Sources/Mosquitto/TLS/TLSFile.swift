import CMosquitto

#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Files that a TLS configuration names. An error says which file, what it was to be, and why it cannot be used.
enum TLSFile {
    private static let limit = 16 << 20

    /// The content of a file with a key; no copy of it is left behind.
    static func readSecret(_ path: String, _ what: String) throws(MQTTError) -> MQTTSecret {
        var bytes = try read(path, what)
        defer { SecretBytes.cleanse(&bytes) }
        return MQTTSecret(bytes: bytes)
    }

    static func read(_ path: String, _ what: String) throws(MQTTError) -> [UInt8] {
        guard let file = fopen(path, "rbe") else {
            throw failure("\(what) \(quoted(path)) cannot be opened", errno)
        }
        defer { fclose(file) }
        // One that is reallocated while it grows would leave a copy behind; a file that is none has no size.
        var status = stat()
        fstat(fileno(file), &status)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(min(Int(status.st_size), limit) + 1)
        var chunk = [UInt8](repeating: 0, count: 16_384)
        defer { SecretBytes.cleanse(&chunk) }
        while true {
            let count = fread(&chunk, 1, chunk.count, file)
            if count == 0 { break }
            bytes += chunk[..<count]
            if bytes.count > limit { throw failure("\(what) \(quoted(path)) has more than 16 MiB") }
        }
        if ferror(file) != 0 { throw failure("\(what) \(quoted(path)) cannot be read; is it a directory?") }
        return bytes
    }

    /// OpenSSL takes a directory that is not there, and says that nobody is trusted.
    static func checkDirectory(_ path: String, _ what: String) throws(MQTTError) {
        guard let directory = opendir(path) else { throw failure("\(what) \(quoted(path)) cannot be opened", errno) }
        closedir(directory)
    }

    /// The descriptor of a file to append secrets to, for its owner's eyes.
    static func openKeyLog(_ path: String) throws(MQTTError) -> Int32 {
        let descriptor = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        if descriptor < 0 { throw failure("key log file \(quoted(path)) cannot be opened", errno) }
        // One that is there already may be for others' eyes.
        if fchmod(descriptor, 0o600) != 0 {
            let code = errno
            closeDescriptor(descriptor)
            throw failure("key log file \(quoted(path)) belongs to somebody else", code)
        }
        return descriptor
    }

    private static func failure(_ message: String, _ code: Int32? = nil) -> MQTTError {
        let reason = code.map { String(cString: strerror($0)) }
        var error = MQTTError(.tlsConfiguration, "TLS: " + message + (reason.map { ": " + $0 } ?? ""))
        error.tls = TLSFailure(.configuration, reason: reason)
        error.systemCode = code
        return error
    }
}

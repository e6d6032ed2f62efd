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

    /// The content of a file, which may be a key: no copy of it is left behind.
    static func read(_ path: String, _ what: String) async throws(MQTTError) -> MQTTSecret {
        do throws(FileFailure) {
            return try await FileReader.shared.read(path, limit: limit)
        } catch {
            throw failure("\(what) \(quoted(path))", error)
        }
    }

    /// What tells whether a file has changed.
    static func stamp(_ path: String) async throws(MQTTError) -> FileStamp {
        do throws(FileFailure) {
            return try await FileReader.shared.stamp(path)
        } catch {
            throw failure("file \(quoted(path))", error)
        }
    }

    /// OpenSSL takes a directory that is not there, and says that nobody is trusted.
    static func checkDirectory(_ path: String, _ what: String) async throws(MQTTError) {
        do throws(FileFailure) {
            try await FileReader.shared.checkDirectory(path)
        } catch {
            throw failure("\(what) \(quoted(path))", error)
        }
    }

    /// The system's bundle is OpenSSL's to read; one that cannot be read in time is noticed here, off Swift's threads.
    static func checkSystemTrust() async throws(MQTTError) {
        do throws(FileFailure) {
            _ = try await FileReader.shared.read(FileStamp.systemTrust, limit: limit)
        } catch  where error.systemCode != nil {
            // There may be a directory instead.
            return
        } catch {
            throw failure("the system's certificate authorities \(quoted(FileStamp.systemTrust))", error)
        }
    }

    /// The descriptor of a file to append secrets to, for its owner's eyes.
    static func openKeyLog(_ path: String) throws(MQTTError) -> Int32 {
        // Without O_NONBLOCK the open of a FIFO waits until somebody reads from it.
        let descriptor = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0o600)
        if descriptor < 0 { throw failure("key log file \(quoted(path)) cannot be opened", errno) }
        // One that is there already may be for others' eyes.
        if fchmod(descriptor, 0o600) != 0 {
            let code = errno
            closeDescriptor(descriptor)
            throw failure("key log file \(quoted(path)) belongs to somebody else", code)
        }
        return descriptor
    }

    /// A file system that does not answer is no mistake in the configuration: it is tried again.
    private static func failure(_ name: String, _ failure: FileFailure) -> MQTTError {
        if failure.isOverdue { return MQTTError(.timeout, "TLS: \(name) \(failure.reason)", phase: .resolve) }
        if let code = failure.systemCode { return Self.failure("\(name) cannot be opened", code) }
        return Self.failure("\(name) \(failure.reason)")
    }

    private static func failure(_ message: String, _ code: Int32? = nil) -> MQTTError {
        let reason = code.map { String(cString: strerror($0)) }
        var error = MQTTError(.tlsConfiguration, "TLS: " + message + (reason.map { ": " + $0 } ?? ""))
        error.tls = TLSFailure(.configuration, reason: reason)
        error.systemCode = code
        return error
    }
}

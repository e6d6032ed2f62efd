// SPDX-License-Identifier: Apache-2.0

import CMosquitto

#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Access to the files of a TLS configuration. An error names the file, its role, and the reason for the failure.
enum TLSFile {
    private static let limit = 16 << 20

    /// Returns the content of a file.
    static func read(_ path: String, _ what: String) async throws(MQTTError) -> MQTTSecret {
        do throws(FileFailure) {
            return try await FileReader.shared.read(path, limit: limit)
        } catch {
            throw failure("\(what) \(quoted(path))", error)
        }
    }

    /// Returns the content of a file with a private key. Warns if every user of the machine can read it.
    static func readKey(_ path: String, _ what: String) async throws(MQTTError) -> MQTTSecret {
        do throws(FileFailure) {
            return try await FileReader.shared.readSecret(path, limit: limit)
        } catch {
            throw failure("\(what) \(quoted(path))", error)
        }
    }

    /// Returns the stamp of a file, which changes with the file.
    static func stamp(_ path: String) async throws(MQTTError) -> FileStamp {
        do throws(FileFailure) {
            return try await FileReader.shared.stamp(path)
        } catch {
            throw failure("file \(quoted(path))", error)
        }
    }

    /// Throws if a directory is missing: OpenSSL would accept it, and trust nobody.
    static func checkDirectory(_ path: String, _ what: String) async throws(MQTTError) {
        do throws(FileFailure) {
            try await FileReader.shared.checkDirectory(path)
        } catch {
            throw failure("\(what) \(quoted(path))", error)
        }
    }

    /// Throws if the system's bundle cannot be read in time. OpenSSL reads the bundle itself; this check runs before,
    /// off Swift's threads.
    static func checkSystemTrust() async throws(MQTTError) {
        do throws(FileFailure) {
            _ = try await FileReader.shared.read(FileStamp.systemTrust, limit: limit)
        } catch  where error.systemCode != nil {
            // The system may use a directory instead.
            return
        } catch {
            throw failure("the system's certificate authorities \(quoted(FileStamp.systemTrust))", error)
        }
    }

    /// Opens a file to which secrets are appended, readable only by its owner. Returns the descriptor.
    static func openKeyLog(_ path: String) throws(MQTTError) -> Int32 {
        // Without O_NONBLOCK, opening a FIFO blocks until a reader opens it.
        let descriptor = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0o600)
        if descriptor < 0 { throw failure("key log file \(quoted(path)) cannot be opened", errno) }
        makeOwn(descriptor)
        // An existing file may be readable by others.
        if fchmod(descriptor, 0o600) != 0 {
            let code = errno
            closeDescriptor(descriptor)
            throw failure("key log file \(quoted(path)) belongs to somebody else", code)
        }
        return descriptor
    }

    /// Returns the error for a failed file. A file system that does not respond is not a configuration error: the
    /// client retries.
    private static func failure(_ name: String, _ failure: FileFailure) -> MQTTError {
        if failure.isOverdue { return MQTTError(.timeout, "TLS: \(name) \(failure.reason)", phase: .resolve) }
        if let code = failure.systemCode { return Self.failure("\(name) cannot be opened", code) }
        return Self.failure("\(name) \(failure.reason)")
    }

    private static func failure(_ message: String, _ code: Int32? = nil) -> MQTTError {
        let reason = code.map { String(cString: strerror($0)) }
        var error = MQTTError(.tlsConfiguration, "TLS: " + message + (reason.map { ": " + $0 } ?? ""))
        error.tls = MQTTTLSFailure(.configuration, reason: reason)
        error.systemCode = code
        return error
    }
}

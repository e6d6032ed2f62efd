// SPDX-License-Identifier: Apache-2.0

#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

extension MQTTError {
    /// The error of a failed `connect(2)`.
    static func connecting(_ code: Int32) -> MQTTError {
        var error: MQTTError
        switch code {
        case ECONNREFUSED:
            error = MQTTError(
                .connectionRefused, "connection refused: nothing listens there, or a firewall rejects the connection",
                phase: .connect)
        // A Unix socket does not exist, or its queue is full.
        case ENOENT: error = MQTTError(.connectionRefused, "the socket does not exist", phase: .connect)
        case EAGAIN: error = MQTTError(.connectionRefused, "the socket takes no more connections", phase: .connect)
        case ENETUNREACH, EHOSTUNREACH, ENETDOWN, EHOSTDOWN:
            error = MQTTError(.networkUnreachable, errorText(code).lowercased(), phase: .connect)
        case ETIMEDOUT: error = MQTTError(.timeout, "the connection timed out", phase: .connect)
        case ECONNRESET, EPIPE: error = MQTTError(.closed, "the connection was reset", phase: .connect)
        default: error = system(code, "the connection could not be made")
        }
        error.systemCode = code
        error.phase = .connect
        return error
    }

    /// The error of a system call that failed before there was a connection.
    static func system(_ code: Int32, _ what: String) -> MQTTError {
        var error = MQTTError(.system, "\(what): \(errorText(code).lowercased())", phase: .connect)
        error.systemCode = code
        return error
    }
}

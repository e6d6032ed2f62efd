// SPDX-License-Identifier: Apache-2.0

#if canImport(Darwin)
import Darwin
#else
import Glibc
#endif

/// A blocking TCP client that shows exactly what a broker sends and how it ends. Every wait has a deadline of five
/// seconds.
final class RawClient {
    enum End: Equatable {
        case eof
        case reset
        case timeout
    }

    private let descriptor: Int32
    /// A reset is reported once: if `send` got it, `recv` says end of file.
    private var sendWasReset = false

    init(port: Int) throws {
        #if canImport(Darwin)
        descriptor = socket(AF_INET, SOCK_STREAM, 0)
        #else
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        #endif
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        if result != 0 { throw RawClientError(errno: errno) }
    }

    deinit {
        close(descriptor)
    }

    func send(_ bytes: [UInt8]) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { systemSend(descriptor, $0.baseAddress, $0.count) }
            if count <= 0 {
                sendWasReset = errno == ECONNRESET || errno == EPIPE
                return
            }
            rest = rest.dropFirst(count)
        }
    }

    /// Reads exactly so many bytes, or fewer if the connection ends.
    func read(_ count: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count < count {
            guard case .success(let more) = readSome(upTo: count - bytes.count) else { break }
            bytes += more
        }
        return bytes
    }

    /// Reads until the connection ends.
    func readToEnd() -> (bytes: [UInt8], end: End) {
        var bytes: [UInt8] = []
        while true {
            switch readSome(upTo: 4_096) {
            case .success(let more): bytes += more
            case .failure(let stop): return (bytes, stop.end)
            }
        }
    }

    private func readSome(upTo count: Int) -> Result<[UInt8], Stop> {
        var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        guard poll(&waiting, 1, 5_000) > 0 else { return .failure(Stop(end: .timeout)) }
        var buffer = [UInt8](repeating: 0, count: count)
        let read = recv(descriptor, &buffer, count, 0)
        if read > 0 { return .success(Array(buffer[..<read])) }
        return .failure(Stop(end: read == 0 && !sendWasReset ? .eof : .reset))
    }

    private struct Stop: Error {
        let end: End
    }
}

struct RawClientError: Error {
    let errno: Int32
}

private func systemSend(_ descriptor: Int32, _ bytes: UnsafeRawPointer?, _ count: Int) -> Int {
    #if canImport(Darwin)
    send(descriptor, bytes, count, 0)
    #else
    send(descriptor, bytes, count, Int32(MSG_NOSIGNAL))
    #endif
}

// SPDX-License-Identifier: Apache-2.0

import Foundation
import MosquittoTesting
import Synchronization

/// A SOCKS5 proxy for one connection, on a thread of its own: sends the scripted answer, and then forwards bytes.
final class SOCKSProxy: Sendable {
    enum Answer: Sendable {
        case connect
        /// The reply code of RFC 1928, section 6.
        case refuse(UInt8)
    }

    let port: Int
    private let seen = Mutex(Seen())

    struct Seen: Sendable, Equatable {
        var username = ""
        var password = ""
        var host = ""
        var port = 0
    }

    /// The request that the client has sent.
    var request: Seen { seen.withLock { $0 } }

    /// - Parameter user: the name and password that the proxy requires; `nil` for none.
    init(user: (name: String, password: String)? = nil, _ answer: Answer = .connect) throws {
        let listener = socket(AF_INET, streamType, 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let bound = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, length) == 0 && getsockname(listener, $0, &length) == 0
            }
        }
        guard bound, listen(listener, 4) == 0 else { throw POSIXError(.EADDRNOTAVAIL) }
        port = Int(UInt16(bigEndian: address.sin_port))
        Thread.detachNewThread { [weak self] in
            let client = accept(listener, nil, nil)
            close(listener)
            if let broker = self?.serve(client, user, answer) {
                Thread.detachNewThread { Self.pass(from: broker, to: client) }
                Self.pass(from: client, to: broker)
                close(broker)
            }
            close(client)
        }
    }

    private func serve(_ client: Int32, _ user: (name: String, password: String)?, _ answer: Answer) -> Int32? {
        let greeting = Self.read(client, 2)
        guard greeting.first == 5 else { return nil }
        let methods = Self.read(client, Int(greeting[1]))
        let wanted: UInt8 = user == nil ? 0 : 2
        guard methods.contains(wanted) else {
            Self.write(client, [5, 0xFF])
            return nil
        }
        Self.write(client, [5, wanted])
        if let user, !authenticate(client, user) { return nil }
        let request = Self.read(client, 5)
        guard request.prefix(4) == [5, 1, 0, 3] else { return nil }
        let name = Self.read(client, Int(request[4]) + 2)
        let port = Int(name[name.count - 2]) << 8 | Int(name[name.count - 1])
        seen.withLock {
            $0.host = String(decoding: name.dropLast(2), as: UTF8.self)
            $0.port = port
        }
        if case .refuse(let code) = answer {
            Self.write(client, [5, code, 0, 1, 0, 0, 0, 0, 0, 0])
            return nil
        }
        guard let broker = Self.connect(port) else { return nil }
        // A name as the address, in two pieces: the client has to wait for the end of it.
        Self.write(client, [5, 0, 0, 3, 4])
        Self.write(client, Array("here".utf8) + [0, 1])
        return broker
    }

    private func authenticate(_ client: Int32, _ user: (name: String, password: String)) -> Bool {
        let name = Self.read(client, Int(Self.read(client, 2)[1]))
        let password = Self.read(client, Int(Self.read(client, 1)[0]))
        let isRight = name == Array(user.name.utf8) && password == Array(user.password.utf8)
        seen.withLock {
            $0.username = String(decoding: name, as: UTF8.self)
            $0.password = String(decoding: password, as: UTF8.self)
        }
        Self.write(client, [1, isRight ? 0 : 1])
        return isRight
    }

    private static func connect(_ port: Int) -> Int32? {
        let descriptor = socket(AF_INET, streamType, 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
        let isConnected = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                systemConnect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
        return isConnected ? descriptor : nil
    }

    private static func pass(from source: Int32, to sink: Int32) {
        var buffer = [UInt8](repeating: 0, count: 4_096)
        while true {
            let count = recv(source, &buffer, buffer.count, 0)
            guard count > 0 else { break }
            write(sink, Array(buffer[..<count]))
        }
        shutdown(sink, Int32(SHUT_WR))
    }

    /// As many bytes, and fewer only at the end of the stream, filled up with zeros.
    private static func read(_ descriptor: Int32, _ count: Int) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        if count > 0 { _ = recv(descriptor, &bytes, count, Int32(MSG_WAITALL)) }
        return bytes
    }

    private static func write(_ descriptor: Int32, _ bytes: [UInt8]) {
        _ = send(descriptor, bytes, bytes.count, withoutSignal)
    }
}

#if canImport(Darwin)
private let streamType = SOCK_STREAM
/// SwiftNIO, which the broker of the tests uses, has the process ignore SIGPIPE.
private let withoutSignal: Int32 = 0
#else
private let streamType = Int32(SOCK_STREAM.rawValue)
private let withoutSignal = Int32(MSG_NOSIGNAL)
#endif

/// Calls `connect(2)` from file scope: inside the type, the method of the same name shadows it.
private func systemConnect(_ descriptor: Int32, _ address: UnsafePointer<sockaddr>?, _ length: socklen_t) -> Int32 {
    connect(descriptor, address, length)
}

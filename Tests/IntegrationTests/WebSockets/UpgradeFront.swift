// SPDX-License-Identifier: Apache-2.0

import Dispatch
import Foundation
import Synchronization

/// A server in front of a broker with WebSockets: it answers requests for an upgrade itself, or passes them on.
final class UpgradeFront: Sendable {
    /// The number of the request, from 0, and its head. Returns the answer, or `nil` to pass the connection on.
    typealias Judge = @Sendable (_ number: Int, _ head: String) -> String?

    let port: Int
    private let listener: Int32
    private let heads = Mutex<[String]>([])

    /// The heads of all requests so far.
    var requests: [String] { heads.withLock { $0 } }

    init(to broker: Int, _ judge: @escaping Judge) throws {
        let listener = socket(AF_INET, streamType, 0)
        self.listener = listener
        var address = Self.loopback(0)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, length) == 0 && listen(listener, 64) == 0 && getsockname(listener, $0, &length) == 0
            }
        }
        guard isBound else { throw POSIXError(.EADDRINUSE) }
        port = Int(UInt16(bigEndian: address.sin_port))
        Thread.detachNewThread { [weak self] in
            while true {
                let client = accept(listener, nil, nil)
                if client < 0 { return }
                Thread.detachNewThread { [weak self] in self?.serve(client, broker, judge) }
            }
        }
    }

    deinit {
        shutdown(listener, Int32(SHUT_RDWR))
        close(listener)
    }

    private func serve(_ client: Int32, _ broker: Int, _ judge: Judge) {
        defer { close(client) }
        var head: [UInt8] = []
        var byte: UInt8 = 0
        while !head.suffix(4).elementsEqual("\r\n\r\n".utf8) {
            guard recv(client, &byte, 1, 0) == 1 else { return }
            head.append(byte)
        }
        let text = String(decoding: head, as: UTF8.self)
        let number = heads.withLock { heads in
            heads.append(text)
            return heads.count - 1
        }
        if let answer = judge(number, text) {
            Self.write(Array(answer.utf8), to: client)
            shutdown(client, Int32(SHUT_WR))
            while recv(client, &byte, 1, 0) == 1 {}
            return
        }
        let server = socket(AF_INET, streamType, 0)
        defer { close(server) }
        var address = Self.loopback(broker)
        let isConnected = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(server, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
        guard isConnected else { return }
        Self.write(head, to: server)
        let done = DispatchSemaphore(value: 0)
        Thread.detachNewThread {
            Self.pump(server, to: client)
            done.signal()
        }
        Self.pump(client, to: server)
        done.wait()
    }

    private static func pump(_ source: Int32, to target: Int32) {
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = recv(source, &buffer, buffer.count, 0)
            guard count > 0 else { break }
            write(Array(buffer[..<count]), to: target)
        }
        shutdown(target, Int32(SHUT_WR))
    }

    private static func write(_ bytes: [UInt8], to target: Int32) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { send(target, $0.baseAddress, $0.count, withoutSignal) }
            if count <= 0 { return }
            rest = rest.dropFirst(count)
        }
    }

    private static func loopback(_ port: Int) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        return address
    }
}

#if canImport(Darwin)
private let streamType = SOCK_STREAM
/// SwiftNIO, which other tests of the process use, has it ignore SIGPIPE.
private let withoutSignal: Int32 = 0
#else
private let streamType = Int32(SOCK_STREAM.rawValue)
private let withoutSignal = Int32(MSG_NOSIGNAL)
#endif

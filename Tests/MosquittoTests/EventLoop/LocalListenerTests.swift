// SPDX-License-Identifier: Apache-2.0

import MosquittoTesting
import Testing
import Turns

@testable import Mosquitto

#if canImport(Darwin)
import Darwin
import Foundation
#elseif canImport(Glibc)
import FoundationEssentials
import Glibc
#endif

@Suite(.turn(.units)) struct `A listener for connections within this process` {
    @Test func `is reached, on Linux though its path is gone`() throws {
        let listener = try #require(LocalListener())
        #if os(Linux)
        #expect(listener.host.hasPrefix("/proc/self/fd/"))
        #endif
        #expect(listener.port == 0)
        let client = try StreamSocket(connectingTo: listener.host)
        let accepted = StreamSocket(descriptor: try listener.accept(client.descriptor))
        #expect(fcntl(accepted.descriptor, F_GETFD) & FD_CLOEXEC != 0)
        #expect(fcntl(accepted.descriptor, F_GETFL) & O_NONBLOCK != 0)
        client.close()
        accepted.close()
    }

    @Test func `of the loopback interface closes what others connect to it`() throws {
        let listener = try LocalListener(loopback: ())
        let stranger = try StreamSocket(connectingTo: listener.host, port: Int(listener.port))
        let client = try StreamSocket(connectingTo: listener.host, port: Int(listener.port))
        let accepted = StreamSocket(descriptor: try listener.accept(client.descriptor))
        var byte: [UInt8] = [7]
        _ = byte.withUnsafeBytes { accepted.send($0) }
        var wait = pollfd(fd: client.descriptor, events: Int16(POLLIN), revents: 0)
        #expect(poll(&wait, 1, 1_000) == 1)
        let outcome = byte.withUnsafeMutableBytes { client.receive(into: $0) }
        guard case .bytes(1) = outcome else {
            Issue.record("\(outcome)")
            return
        }
        for socket in [stranger, client, accepted] { socket.close() }
    }

    #if os(Linux)
    @Test func `leaves nothing in any folder`() throws {
        let listener = try #require(LocalListener())
        let target = try FileManager.default.destinationOfSymbolicLink(atPath: listener.host)
        #expect(target.hasSuffix("/mqtt (deleted)"))
        let folder = target.split(separator: "/").dropLast().joined(separator: "/")
        #expect(!FileManager.default.fileExists(atPath: "/" + folder))
    }
    #else
    @Test func `leaves nothing in any folder when it is released`() throws {
        var listener = LocalListener()
        let path = try #require(listener?.host)
        #expect(FileManager.default.fileExists(atPath: path))
        listener = nil
        #expect(!FileManager.default.fileExists(atPath: String(path.dropLast("/mqtt".count))))
    }
    #endif
}

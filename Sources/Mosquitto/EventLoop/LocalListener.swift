// SPDX-License-Identifier: Apache-2.0

import CMosquittoShim

#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// A listening socket for connections within this process: libmosquitto connects to it instead of a broker. Confined to
/// the loop's thread.
///
/// The socket is a Unix socket in a private folder. On Linux the folder is removed as soon as the socket is bound; the
/// socket is then reached through a descriptor of its inode, and nothing remains when the process dies. Darwin cannot
/// open a socket's inode: the listener serves one connection, and the folder is removed with it. If no folder can be
/// created, or `/proc` cannot be read, the socket is a port of the loopback interface.
final class LocalListener {
    /// The arguments of `mosquitto_connect_bind_v5`.
    let host: String
    let port: Int32

    private let descriptor: Int32
    /// The descriptor through which the socket is reached; negative if its path serves.
    private let inode: Int32
    /// The folder to remove at the end.
    private let folder: String?

    /// False if a folder exists as long as the listener.
    var isLasting: Bool { folder == nil }

    private static let backlog: Int32 = 16
    /// The time limit in milliseconds for a connection to arrive.
    private static let patience: Int32 = 1_000

    deinit {
        closeDescriptor(descriptor)
        if inode >= 0 { closeDescriptor(inode) }
        if let folder {
            unlink(host)
            rmdir(folder)
        }
    }

    /// Listens on a Unix socket. Returns `nil` if none can be created or reached.
    init?() {
        guard let descriptor = Self.makeSocket(AF_UNIX) else { return nil }
        for parent in Self.parents {
            guard let folder = Self.makeFolder(in: parent) else { continue }
            let path = folder + "/mqtt"
            guard
                withUnixAddress(
                    path, { bindDescriptor(descriptor, $0, $1) == 0 && listen(descriptor, Self.backlog) == 0 })
            else {
                unlink(path)
                rmdir(folder)
                continue
            }
            let inode = cmq_open_inode(path)
            let reachable = inode < 0 ? path : "/proc/self/fd/\(inode)"
            if inode >= 0 {
                unlink(path)
                rmdir(folder)
                // A process that may not read its own `/proc` entry cannot connect this way.
                if access(reachable, W_OK) != 0 {
                    closeDescriptor(inode)
                    break
                }
            }
            (self.descriptor, self.inode, host, port) = (descriptor, inode, reachable, 0)
            self.folder = inode < 0 ? folder : nil
            return
        }
        closeDescriptor(descriptor)
        return nil
    }

    /// Listens on a port of the loopback interface. Throws the `errno` of the failed call.
    init(loopback: Void) throws(SystemCallError) {
        guard let descriptor = Self.makeSocket(AF_INET) else { throw SystemCallError(code: errno) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bindDescriptor(descriptor, $0, size) == 0 }
        }
        guard isBound, listen(descriptor, Self.backlog) == 0 else {
            let code = errno
            closeDescriptor(descriptor)
            throw SystemCallError(code: code)
        }
        self.descriptor = descriptor
        (host, inode, folder) = ("127.0.0.1", -1, nil)
        port = Int32(LoopbackName(of: descriptor, getsockname)?.port ?? 0)
    }

    /// Accepts and returns the other end of the connection that `client` has made; closes connections made by others.
    /// Throws the `errno` of the failed call.
    func accept(_ client: Int32) throws(SystemCallError) -> Int32 {
        while true {
            var wait = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            let count = poll(&wait, 1, Self.patience)
            if count == 0 { throw SystemCallError(code: ETIMEDOUT) }
            let accepted = count < 0 ? -1 : cmq_accept(descriptor)
            if accepted < 0 {
                if errno == EINTR || errno == EAGAIN || errno == ECONNABORTED { continue }
                throw SystemCallError(code: errno)
            }
            if isConnected(accepted, to: client) { return accepted }
            closeDescriptor(accepted)
        }
    }

    private func isConnected(_ accepted: Int32, to client: Int32) -> Bool {
        if port == 0 { return cmq_peer_is_this_process(accepted) }
        guard let name = LoopbackName(of: client, getsockname) else { return false }
        return LoopbackName(of: accepted, getpeername) == name
    }

    private static func makeSocket(_ family: Int32) -> Int32? {
        let descriptor = socket(family, ownStreamType, 0)
        if descriptor < 0 { return nil }
        makeOwn(descriptor)
        return descriptor
    }

    private static var parents: [String] {
        let own = getenv("TMPDIR").map { String(cString: $0) }
        return (own.map { [$0] } ?? []) + ["/tmp", "/dev/shm", "/var/tmp"]
    }

    /// Creates a folder that no other user can enter.
    private static func makeFolder(in parent: String) -> String? {
        var template = Array((parent + "/mosquitto.XXXXXX").utf8CString)
        return template.withUnsafeMutableBufferPointer { buffer in
            guard let start = buffer.baseAddress, mkdtemp(start) != nil else { return nil }
            return String(cString: start)
        }
    }
}

/// One end of a connection over IPv4.
private struct LoopbackName: Equatable {
    let address: UInt32
    let port: UInt16

    init?(
        of descriptor: Int32,
        _ ask: (Int32, UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> Int32
    ) {
        var name = sockaddr_in()
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = withUnsafeMutablePointer(to: &name) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { ask(descriptor, $0, &size) }
        }
        guard result == 0, name.sin_family == sa_family_t(AF_INET) else { return nil }
        (address, port) = (name.sin_addr.s_addr, UInt16(bigEndian: name.sin_port))
    }
}

// SPDX-License-Identifier: Apache-2.0

#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// `bind(2)`, under a name that a method called `bind` does not hide.
func bindDescriptor(_ descriptor: Int32, _ address: UnsafePointer<sockaddr>?, _ length: socklen_t) -> Int32 {
    bind(descriptor, address, length)
}

#if canImport(Darwin)
let streamType = SOCK_STREAM
/// The type of a non-blocking socket that is closed on exec. Darwin sets both flags afterwards, with ``makeOwn(_:)``: a
/// fork of another thread in between inherits the socket.
let ownStreamType = SOCK_STREAM
#else
let streamType = Int32(SOCK_STREAM.rawValue)
/// The type of a non-blocking socket that is closed on exec, with both flags set from its creation.
let ownStreamType = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
#endif

/// Sets a descriptor to close on exec, not to block and to raise no SIGPIPE, on systems that cannot do so at its
/// creation and with each `send`. Darwin sends SIGPIPE to the process, so a thread that blocks it does not suffice.
func makeOwn(_ descriptor: Int32) {
    #if canImport(Darwin)
    _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
    _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK)
    _ = fcntl(descriptor, F_SETNOSIGPIPE, 1)
    #endif
}

/// Calls `body` with the address of the Unix socket at `path`. Returns `false` with `errno` set if the path is too
/// long.
func withUnixAddress(_ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Bool) -> Bool {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    guard path.utf8.count < MemoryLayout.size(ofValue: address.sun_path) else {
        errno = ENAMETOOLONG
        return false
    }
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    return withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
        }
    }
}

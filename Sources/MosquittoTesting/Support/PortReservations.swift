// SPDX-License-Identifier: Apache-2.0

internal import Synchronization

#if canImport(Darwin)
internal import Darwin
#elseif canImport(Musl)
internal import Musl
#else
internal import Glibc
#endif

/// The ports that this process keeps from others until its end. A port is a byte of a file that all processes of the
/// user share, and a reservation is a lock on the byte (lockf(3)): no child inherits the lock, and the system releases
/// it however the process ends.
final class PortReservations: Sendable {
    /// `Tests/Brokers/broker.bash` has those from 20000 on.
    static let ports = 10_240..<20_000

    static let shared = PortReservations(file: "\(TemporaryDirectory.base)/swift-mosquitto-ports-\(getuid())")

    private struct State {
        /// Open until the end of the process, since a close would release all locks.
        var file: Int32 = -1
        /// Its own locks do not stop a process.
        var given: Set<Int> = []
    }

    private let path: String
    private let state = Mutex(State())

    init(file: String) { path = file }

    /// Reserves a port on which nobody listens.
    func next() throws(MosquittoTestingError) -> Int {
        try state.withLock { state throws(MosquittoTestingError) in
            if state.file < 0 {
                state.file = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
                guard state.file >= 0 else { throw .systemCall("open \(path)", errno: errno) }
            }
            let start = Int.random(in: Self.ports)
            for port in [start..<Self.ports.upperBound, Self.ports.lowerBound..<start].joined() {
                guard !state.given.contains(port), try Self.lock(port, of: state.file) else { continue }
                state.given.insert(port)
                do throws(MosquittoTestingError) {
                    try LoopbackSocket.checkBind(port: port)
                    return port
                } catch .systemCall("bind", errno: EADDRINUSE) {}
            }
            throw .systemCall("bind", errno: EADDRINUSE)
        }
    }

    /// Returns false if another process has the lock.
    private static func lock(_ port: Int, of file: Int32) throws(MosquittoTestingError) -> Bool {
        guard lseek(file, off_t(port), SEEK_SET) >= 0 else { throw .systemCall("lseek", errno: errno) }
        if lockf(file, F_TLOCK, 1) == 0 { return true }
        guard errno == EAGAIN || errno == EACCES else { throw .systemCall("lockf", errno: errno) }
        return false
    }
}

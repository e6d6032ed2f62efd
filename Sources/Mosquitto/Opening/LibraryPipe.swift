#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// What libmosquitto takes for its connection: one end of a pair of local sockets. We have the other end, and the broker's
/// socket.
///
/// So it gets the packets that it is to see and no others, whichever version it is, and TLS is none of its business.
final class LibraryPipe {
    private let handle: MosquittoHandle
    private let end: StreamSocket

    private static let size: Int32 = 1 << 18

    /// Puts one end of the pair under libmosquitto's descriptor.
    init(_ handle: MosquittoHandle) throws(MQTTError) {
        guard let (inner, outer) = StreamSocket.pair(bufferSize: Self.size) else {
            throw MosquittoHandle.systemError(errno, "a pair of sockets could not be made")
        }
        self.handle = handle
        end = outer
        let isReplaced = inner.replace(handle.socket)
        let code = errno
        // Only this descriptor: libmosquitto's is another one of the same socket.
        closeDescriptor(inner.descriptor)
        if !isReplaced { throw MosquittoHandle.systemError(code, "a socket could not be handed over") }
    }

    deinit { end.close() }

    /// Has libmosquitto read a packet. Returns the code with which it has closed its side, if it has.
    func handOver(_ packet: [UInt8]) throws(MQTTError) -> Int32? {
        var rest = packet[...]
        while !rest.isEmpty {
            guard case .bytes(let count) = rest.withUnsafeBytes({ end.send($0) }) else {
                throw MosquittoHandle.systemError(ENOBUFS, "libmosquitto did not read what it was given")
            }
            rest = rest.dropFirst(count)
            if let code = try read(count) { return code }
        }
        return nil
    }

    private func read(_ count: Int) throws(MQTTError) -> Int32? {
        // errno cannot tell when to stop (the library's internal socketpair sets it): stop when all is read.
        var unread = count
        var fruitless = 0
        while unread > 0 {
            let rc = handle.read()
            if rc != 0 || handle.socket < 0 { return rc }
            let left = StreamSocket(descriptor: handle.socket).inputCount
            fruitless = left < unread ? 0 : fruitless + 1
            if fruitless > 2 { throw MQTTError(.library, "libmosquitto does not read what it is given") }
            unread = left
        }
        return nil
    }

    /// Passes on what libmosquitto has written. Returns how much that is.
    func drain(_ scratch: UnsafeMutableRawBufferPointer, to write: (UnsafeRawBufferPointer) -> Void) -> Int {
        var total = 0
        while case .bytes(let count) = end.receive(into: scratch) {
            write(UnsafeRawBufferPointer(rebasing: scratch[..<count]))
            total += count
            if count < scratch.count { break }
        }
        return total
    }
}

#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// A connection without TLS: libmosquitto reads and writes one end of a pair of local sockets, we the other end and the
/// broker's socket. So every byte passes here, as it does with TLS.
final class PlainStream: Transport {
    private let pipe: StreamSocket
    private let handle: MosquittoHandle
    private var filter: OutboundFilter
    private var outbound = ByteQueue()

    /// Large enough for a piece and what libmosquitto may have left of the one before.
    private static let pipeSize: Int32 = 1 << 18
    private static let pieceSize = 1 << 15

    /// Puts one end of the pair under libmosquitto's descriptor.
    init(_ handle: MosquittoHandle, holdsAcknowledgements: Bool) throws(MQTTError) {
        guard let (inner, outer) = StreamSocket.pair(bufferSize: Self.pipeSize) else {
            throw MosquittoHandle.systemError(errno, "a pair of sockets could not be made")
        }
        self.handle = handle
        filter = OutboundFilter(holdsAcknowledgements: holdsAcknowledgements)
        pipe = outer
        let isReplaced = inner.replace(handle.socket)
        let code = errno
        // Only this descriptor: libmosquitto's is another one of the same socket.
        closeDescriptor(inner.descriptor)
        if !isReplaced { throw MosquittoHandle.systemError(code, "a socket could not be handed over") }
    }

    deinit { pipe.close() }

    // MARK: Inbound

    func open(_ received: inout ByteQueue, into scratch: UnsafeMutableRawBufferPointer) throws(MQTTError) -> Int? {
        if received.isEmpty { return nil }
        let count = min(received.count, Self.pieceSize, scratch.count)
        received.withPrefix(count) { scratch.copyMemory(from: $0) }
        received.remove(count)
        return count
    }

    func handOver(_ piece: UnsafeRawBufferPointer) throws(MQTTError) {
        guard case .bytes(let count) = pipe.send(piece), count == piece.count else {
            throw MosquittoHandle.systemError(ENOBUFS, "libmosquitto did not read what it was given")
        }
    }

    func drop(_ piece: UnsafeRawBufferPointer) {}

    var unread: Int { StreamSocket(descriptor: handle.socket).inputCount }

    // MARK: Outbound

    func collect(_ scratch: UnsafeMutableRawBufferPointer) -> Int {
        var total = 0
        while case .bytes(let count) = pipe.receive(into: scratch) {
            filter.pass(UnsafeRawBufferPointer(rebasing: scratch[..<count]), to: &outbound)
            total += count
            if count < scratch.count { break }
        }
        return total
    }

    func insert(_ packet: [UInt8]) throws(MQTTError) { filter.insert(packet, to: &outbound) }

    func release(_ packetID: UInt16, isHandled: Bool) { filter.release(packetID, isHandled: isHandled, to: &outbound) }

    /// Takes what has been collected.
    func take<R>(_ body: (UnsafeRawBufferPointer) -> R) -> R {
        defer { outbound.remove(outbound.count) }
        return outbound.withPrefix(.max, body)
    }

    var unsent: Int { outbound.count }

    func send(_ socket: StreamSocket) -> Int32 {
        while !outbound.isEmpty {
            switch outbound.withPrefix(.max, { socket.send($0) }) {
            case .bytes(let count): outbound.remove(count)
            case .nothing, .end: return 0
            case .failed(let code): return code
            }
        }
        return 0
    }

    func rest() { outbound.rest() }
}

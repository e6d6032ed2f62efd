/// A connection with TLS of which libmosquitto knows nothing: it has a local socket, as without TLS, and the `SSL` is ours.
///
/// So its packets are seen in plain text before they are encrypted, and acknowledgements can be held. It costs system calls and
/// copies that ``TLSStream`` does without.
final class PipedTLSStream: Transport {
    let tls: TLSStream
    private let pipe: PlainStream
    private let handle: MosquittoHandle
    private var isClosed = false

    init(_ handle: MosquittoHandle, _ context: TLSContext) throws(MQTTError) {
        self.handle = handle
        pipe = try PlainStream(handle, holdsAcknowledgements: true)
        tls = try TLSStream(owningFor: handle, context)
    }

    // MARK: Inbound

    func open(_ received: inout ByteQueue, into scratch: UnsafeMutableRawBufferPointer) throws(MQTTError) -> Int? {
        try tls.open(&received, into: scratch)
    }

    func handOver(_ piece: UnsafeRawBufferPointer) throws(MQTTError) {
        tls.drop(piece)
        try pipe.handOver(piece)
    }

    func drop(_ piece: UnsafeRawBufferPointer) { tls.drop(piece) }

    var unread: Int { pipe.unread }

    // MARK: Outbound

    func collect(_ scratch: UnsafeMutableRawBufferPointer) -> Int {
        let count = pipe.collect(scratch)
        encrypt()
        if handle.socket < 0, !isClosed {
            isClosed = true
            tls.notifyOfClose()
        }
        return count
    }

    /// A failure shows with the next record that is read.
    private func encrypt() { _ = pipe.take { tls.write($0) } }

    func insert(_ packet: [UInt8]) throws(MQTTError) {
        try pipe.insert(packet)
        encrypt()
    }

    func release(_ packetID: UInt16, isHandled: Bool) {
        pipe.release(packetID, isHandled: isHandled)
        encrypt()
    }

    var unsent: Int { tls.unsent }

    func send(_ socket: StreamSocket) -> Int32 { tls.send(socket) }

    func rest() {
        pipe.rest()
        tls.rest()
    }
}

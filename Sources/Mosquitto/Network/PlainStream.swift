// SPDX-License-Identifier: Apache-2.0

/// A connection without TLS.
final class PlainStream: Transport {
    private var outbound = ByteQueue()

    /// The number of bytes decoded at once.
    private static let pieceSize = 1 << 15

    func open(_ received: inout ByteQueue, into scratch: UnsafeMutableRawBufferPointer) throws(MQTTError) -> Int? {
        if received.isEmpty { return nil }
        let count = min(received.count, Self.pieceSize, scratch.count)
        received.withPrefix(count) { scratch.copyMemory(from: $0) }
        received.remove(count)
        return count
    }

    func write(_ bytes: UnsafeRawBufferPointer) throws(MQTTError) { outbound.append(bytes) }

    func finishWriting() {}

    var unsent: Int { outbound.count }

    func send(_ take: (UnsafeRawBufferPointer) -> StreamSocket.Transfer) -> TransportProgress {
        var progress = TransportProgress()
        while !outbound.isEmpty, let count = progress.record(outbound.withPrefix(.max, take)) { outbound.remove(count) }
        return progress
    }

    func rest() { outbound.rest() }
}

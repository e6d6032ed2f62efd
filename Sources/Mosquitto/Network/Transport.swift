// SPDX-License-Identifier: Apache-2.0

/// A layer between the MQTT packets of a connection and its socket: plain bytes, TLS, a WebSocket over one of them, or
/// one of them within the TLS session of a proxy. A layer knows nothing of the socket: bytes from below arrive in a
/// queue, and bytes for the layer below are handed to a closure. Confined to the loop's thread.
protocol Transport: AnyObject {
    /// Decrypts the next received bytes into `scratch`. Returns `nil` if too few bytes were received.
    func open(_ received: inout ByteQueue, into scratch: UnsafeMutableRawBufferPointer) throws(MQTTError) -> Int?

    /// Queues bytes for ``send(_:)``.
    func write(_ bytes: UnsafeRawBufferPointer) throws(MQTTError)
    /// Ends the writing side.
    func finishWriting()
    /// Number of bytes that ``send(_:)`` has yet to send.
    var unsent: Int { get }
    /// Hands queued bytes to `take`, which sends them or queues them in the layer below, until it takes no more.
    func send(_ take: (UnsafeRawBufferPointer) -> StreamSocket.Transfer) -> TransportProgress
    /// Queues what has waited for bytes to be sent. Called after ``send(_:)``.
    func hasSent()
    /// Releases memory while the connection is idle.
    func rest()
}

/// The result of ``Transport/send(_:)``.
struct TransportProgress {
    /// Number of bytes that were taken.
    var count = 0
    /// 0, or the `errno` of a failure.
    var code: Int32 = 0

    /// Records the outcome of a step. Returns the number of bytes taken, or `nil` if this was the last step.
    mutating func record(_ transfer: StreamSocket.Transfer) -> Int? {
        switch transfer {
        case .bytes(let taken):
            count += taken
            return taken
        case .nothing, .end: break
        case .failed(let code): self.code = code
        }
        return nil
    }
}

extension Transport {
    func hasSent() {}
}

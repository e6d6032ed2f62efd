// SPDX-License-Identifier: Apache-2.0

/// The layer between the MQTT packets of an established connection and its socket: plain, TLS, or a WebSocket over one
/// of them. Confined to the loop's thread.
protocol Transport: AnyObject {
    /// Decrypts the next received bytes into `scratch`. Returns `nil` if too few bytes were received.
    func open(_ received: inout ByteQueue, into scratch: UnsafeMutableRawBufferPointer) throws(MQTTError) -> Int?

    /// Queues bytes for ``send(_:)``.
    func write(_ bytes: UnsafeRawBufferPointer) throws(MQTTError)
    /// Ends the writing side.
    func finishWriting()
    /// Number of bytes that ``send(_:)`` has yet to send.
    var unsent: Int { get }
    /// Sends as many bytes as possible without blocking. Returns 0, or an `errno` other than `EAGAIN`.
    func send(_ socket: StreamSocket) -> Int32
    /// Queues what has waited for bytes to be sent. Called after ``send(_:)``.
    func hasSent()
    /// Releases memory while the connection is idle.
    func rest()
}

extension Transport {
    func hasSent() {}
}

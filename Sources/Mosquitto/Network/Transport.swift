/// The layer between the MQTT packets of an established connection and its socket: nothing, or TLS. Confined to the
/// loop's thread.
protocol Transport: AnyObject {
    /// Opens the next piece of what was received, into `scratch`. `nil` if there is not enough of it yet.
    func open(_ received: inout ByteQueue, into scratch: UnsafeMutableRawBufferPointer) throws(MQTTError) -> Int?

    /// Takes bytes for ``send(_:)``.
    func write(_ bytes: UnsafeRawBufferPointer) throws(MQTTError)
    /// Nothing more is written.
    func finishWriting()
    /// The number of bytes that ``send(_:)`` has to send yet.
    var unsent: Int { get }
    /// Sends what can be sent without blocking. Returns 0, or an `errno` other than `EAGAIN`.
    func send(_ socket: StreamSocket) -> Int32
    /// Nothing has passed for a while: gives back memory.
    func rest()
}

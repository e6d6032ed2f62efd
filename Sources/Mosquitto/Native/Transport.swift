/// What is between libmosquitto and the socket of an established connection. Confined to the loop's thread.
///
/// Inbound, a piece of what was received is opened, looked at by ``InboundInspector``, and then handed to libmosquitto or
/// dropped. Outbound, what libmosquitto has written is collected, and sent.
protocol Transport: AnyObject {
    /// Opens the next piece of what was received, into `scratch`. `nil` if there is not enough of it yet.
    func open(_ received: inout ByteQueue, into scratch: UnsafeMutableRawBufferPointer) throws(MQTTError) -> Int?
    /// Gives the piece that was opened to libmosquitto, which reads it when it is called.
    func handOver(_ piece: UnsafeRawBufferPointer) throws(MQTTError)
    /// Drops the piece that was opened.
    func drop(_ piece: UnsafeRawBufferPointer)
    /// What libmosquitto has been given and not read yet.
    var unread: Int { get }

    /// Takes over what libmosquitto has written. Returns how much that was, if it is not in its place already.
    func collect(_ scratch: UnsafeMutableRawBufferPointer) -> Int
    /// Sends a packet of our own, between two of libmosquitto's.
    func insert(_ packet: [UInt8]) throws(MQTTError)
    /// A message of QoS 1 or 2 has been handled, or will not be: its acknowledgement waits for this, if the transport can hold it.
    func release(_ packetID: UInt16, isHandled: Bool)
    /// What has been collected and not sent yet.
    var unsent: Int { get }
    /// Sends what can be sent without blocking. Returns 0, or an `errno` other than `EAGAIN`.
    func send(_ socket: StreamSocket) -> Int32
    /// Nothing has passed for a while: gives back memory.
    func rest()
}

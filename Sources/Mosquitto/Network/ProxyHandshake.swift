// SPDX-License-Identifier: Apache-2.0

/// The handshake of a client with a proxy, after which the proxy forwards bytes to the broker. A value without I/O.
protocol ProxyHandshake {
    /// The bytes that the client sends first. They may contain a password: the caller overwrites them after sending.
    var greeting: [UInt8] { get }
    /// True once the proxy forwards bytes.
    var isComplete: Bool { get }

    /// Handles received bytes. Returns the number of bytes that belong to the handshake, at least one, and the bytes to
    /// send next; those after them belong to the broker's stream. Must not be called once the handshake is complete.
    mutating func receive(_ bytes: UnsafeRawBufferPointer) throws(MQTTError) -> (consumed: Int, answer: [UInt8]?)
}

extension SOCKSHandshake: ProxyHandshake {
    var isComplete: Bool { needed == 0 }

    mutating func receive(
        _ bytes: UnsafeRawBufferPointer
    ) throws(MQTTError) -> (consumed: Int, answer: [UInt8]?) {
        let count = min(needed, bytes.count)
        return (count, try receive(Array(bytes[..<count])))
    }
}

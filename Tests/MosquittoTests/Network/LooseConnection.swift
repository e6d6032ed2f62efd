// SPDX-License-Identifier: Apache-2.0

import MosquittoTesting
import Testing

@testable import Mosquitto

#if canImport(Darwin)
import Darwin
#elseif canImport(Musl)
import Musl
#else
import Glibc
#endif

/// A plain ``Connection`` whose peer is the test. Confined to one thread.
final class LooseConnection {
    private let connection: Connection
    private let opening: Opening
    private let broker: StreamSocket
    private let scratch = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 16, alignment: 16)

    init(_ version: MQTTVersion, _ loop: EventLoopCore) throws {
        var configuration = MQTTClientConfiguration(host: "nobody", tls: nil)
        configuration.version = version
        configuration.receiving.maximumPacketSize = 100_000
        opening = Opening(
            configuration: configuration, credentials: .anonymous, authentication: nil, loop: loop)
        let (mine, brokers) = try #require(StreamSocket.pair(bufferSize: 1 << 18))
        broker = brokers
        connection = try Connection(
            ConnectRace.Winner(address: "", socket: mine), tls: nil, configuration: configuration, scratch: scratch)
        _ = try connection.advanceHandshake()
        connection.write(try opening.connectPacket())
        try connection.flush()
    }

    deinit {
        connection.close()
        broker.close()
        scratch.deallocate()
    }

    /// Sends a broker's bytes in pieces, and lets the client read and answer each. Then closes the connection.
    func receive(_ bytes: [UInt8], using generator: inout some RandomNumberGenerator) throws(MQTTError) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let piece = Array(rest.prefix(.random(in: 1...64, using: &generator)))
            rest = rest.dropFirst(piece.count)
            _ = piece.withUnsafeBytes { broker.send($0) }
            try advance()
        }
        broker.finishWriting()
        try advance()
    }

    private func advance() throws(MQTTError) {
        _ = try connection.advance(.readable)
        var packets: [ServerPacket] = []
        connection.takePackets(&packets)
        for case .connack(let connack) in packets { _ = try opening.judge(connack).get() }
        try connection.flush()
        var sink = [UInt8](repeating: 0, count: 4_096)
        sink.withUnsafeMutableBytes { while case .bytes = broker.receive(into: $0) {} }
    }
}

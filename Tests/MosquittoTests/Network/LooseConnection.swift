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

/// A plain ``Connection`` with nobody behind its socket but the test. For one thread.
final class LooseConnection {
    private let connection: Connection
    private let broker: StreamSocket
    private let scratch = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 16, alignment: 16)

    init(_ version: MQTTVersion, _ listener: UnixListener) throws {
        var configuration = MQTTClientConfiguration(endpoints: [.unixSocket(listener.path)], tls: nil)
        configuration.version = version
        configuration.maximumPacketSize = 100_000
        let handle = try MosquittoHandle(configuration)
        try handle.connect(address: listener.path, port: 0, configuration, nil)
        try listener.accept()
        let (mine, brokers) = try #require(StreamSocket.pair(bufferSize: 1 << 18))
        broker = brokers
        connection = try Connection(
            handle, ConnectRace.Winner(address: "", socket: mine), tls: nil, configuration: configuration,
            scratch: scratch)
        _ = try connection.advanceHandshake()
        try connection.flush()
    }

    deinit {
        connection.close()
        broker.close()
        scratch.deallocate()
    }

    /// Sends what a broker would, in pieces, and lets the client take and answer each. Then the broker closes.
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
        var events: [MosquittoEvent] = []
        connection.takeEvents(&events)
        for case .connack(let code, _, _) in events where code != 0 {
            throw MQTTError(.refused, "refused")
        }
        try connection.flush()
        var sink = [UInt8](repeating: 0, count: 4_096)
        sink.withUnsafeMutableBytes { while case .bytes = broker.receive(into: $0) {} }
    }
}

/// A Unix socket that accepts, for libmosquitto to connect to.
final class UnixListener {
    let path: String
    private let directory: TemporaryDirectory
    private let descriptor: Int32

    init() throws {
        directory = try TemporaryDirectory()
        path = directory.path + "/s"
        descriptor = socket(AF_UNIX, streamType, 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        try #require(result == 0 && listen(descriptor, 8) == 0)
    }

    deinit { closeDescriptor(descriptor) }

    /// Takes the connection that was made, and ends it.
    func accept() throws {
        let accepted = acceptConnection(descriptor)
        try #require(accepted >= 0)
        closeDescriptor(accepted)
    }
}

/// `accept(2)`, under a name that a method called `accept` does not hide.
private func acceptConnection(_ descriptor: Int32) -> Int32 { accept(descriptor, nil, nil) }

import MosquittoTesting
import Synchronization

@testable import Mosquitto

/// A way through the proxy.
enum Flow: Int, Sendable, CaseIterable {
    case toClient, toBroker
}

/// Connects a client and a broker, and treats their bytes as networks and attackers do: cuts them into pieces, changes
/// one, holds them back, ends the stream. Uses one thread, and serves one connection after the other.
///
/// The proxy finds TLS records by their headers, so that the address of a byte does not depend on the length of a
/// signature.
final class TamperingProxy: Sendable {
    /// The size of the forwarded pieces, each in a separate `send`.
    enum Pieces: Sendable, Hashable {
        case asTheyCome
        case single
        /// From 1 byte to 1,400, drawn from this seed.
        case random(seed: UInt64)
    }

    /// A byte of a record, counted from 0; the first five are the header.
    struct Address: Sendable, Hashable, Comparable {
        var record: Int
        var byte = 0

        static func < (left: Address, right: Address) -> Bool {
            (left.record, left.byte) < (right.record, right.byte)
        }
    }

    /// The changes that the proxy makes to each connection.
    struct Plan: Sendable {
        /// The pieces in which bytes are forwarded, in both directions.
        var pieces = Pieces.asTheyCome
        /// The byte to the client that is changed, and the bits to flip in it.
        var flip: (address: Address, mask: UInt8)?
        /// The byte before which the stream to the client ends. Further bytes from the broker are discarded.
        var end: Address?
        /// True if the client receives no FIN, neither at ``end`` nor when the broker ends its stream.
        var hidesEnd = false
        /// The rate to the broker in bytes per second; `nil` for no limit.
        var bytesPerSecond: Int?
    }

    enum Valve: Sendable {
        case open
        /// No bytes are read, so that the buffers of both kernels fill.
        case shut
        /// All bytes are read and kept, and sent at once when the valve opens: the last bytes and FIN in one segment.
        case collecting
    }

    /// Counts of the bytes that have passed in one direction of a connection.
    struct Count: Sendable {
        /// Bytes read from the sender.
        var received = 0
        /// Bytes that the receiver's kernel has accepted.
        var sent = 0
        /// Bytes that the receiver has acknowledged: its kernel with TCP, its program with a Unix socket.
        var acknowledged = 0
        /// The records that have arrived completely, unchanged.
        var records: [TLSRecord] = []
        /// True if the sender has ended its side.
        var hasEnded = false
    }

    let endpoint: MQTTEndpoint
    private let controls: ProxyControls

    /// - Parameters:
    ///   - broker: a port of 127.0.0.1, or a Unix socket.
    ///   - path: a Unix socket to listen at instead of a port. Each piece is then sent when the client has read the
    ///     previous one, which cannot be known with TCP.
    ///   - kernelBuffer: the approximate size of the kernel's buffer for unread bytes; `nil` for its own choice.
    init(
        to broker: MQTTEndpoint, at path: String? = nil, plan: Plan = Plan(), kernelBuffer: Int32? = nil
    ) throws {
        let listener = try path.map { try ProxySocket(listeningAt: $0) } ?? ProxySocket(listeningOn: kernelBuffer)
        endpoint = path.map { .unixSocket($0) } ?? MQTTEndpoint(host: "127.0.0.1", port: listener.port)
        let controls = try ProxyControls(plan: plan)
        self.controls = controls
        let relay = ProxyRelay(listener: listener, broker: broker, kernelBuffer: kernelBuffer, controls: controls)
        if !startThread(name: "tampering", { relay.run() }) {
            throw MosquittoTestingError.systemCall("pthread_create", errno: 0)
        }
    }

    convenience init(
        to port: Int, at path: String? = nil, plan: Plan = Plan(), kernelBuffer: Int32? = nil
    ) throws {
        let broker = MQTTEndpoint(host: "127.0.0.1", port: port)
        try self.init(to: broker, at: path, plan: plan, kernelBuffer: kernelBuffer)
    }

    /// Ends the thread, which closes its sockets.
    deinit { controls.order { $0.isStopping = true } }

    /// Sets the plan of all connections from now on.
    func setPlan(_ plan: Plan) { controls.order { $0.plan = plan } }

    func set(_ flow: Flow, _ valve: Valve) { controls.order { $0.valves[flow.rawValue] = valve } }

    /// Sends the test's own bytes to the client, after those under way.
    func inject(_ bytes: [UInt8]) { controls.order { $0.injected += bytes } }

    /// Ends the stream to the client with FIN, after the bytes under way.
    func finish() { controls.order { $0.isFinishing = true } }

    /// Resets the connection to the client, once its kernel has acknowledged the bytes under way, or has no room for
    /// more.
    func reset() { controls.order { $0.isResetting = true } }

    /// The counts of the open connection, or of the last one.
    subscript(flow: Flow) -> Count { controls.look { $0.counts[flow.rawValue] } }

    /// Number of connections accepted so far.
    var connections: Int { controls.look { $0.connections } }

    var isConnected: Bool { controls.look { $0.isConnected } }

    /// True if the byte of the plan has been changed in this connection.
    var hasFlipped: Bool { controls.look { $0.hasFlipped } }
}

/// A record of TLS, by its header (RFC 8446, section 5.1).
struct TLSRecord: Sendable, Hashable {
    /// 20 change_cipher_spec, 21 alert, 22 handshake, 23 application_data.
    var type: UInt8
    /// With the header.
    var length: Int
}

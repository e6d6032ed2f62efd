import MosquittoTesting
import Synchronization

@testable import Mosquitto

/// A way through the proxy.
enum Flow: Int, Sendable, CaseIterable {
    case toClient, toBroker
}

/// Stands between a client and a broker and does to their bytes what networks and attackers do: cuts them into pieces,
/// changes one, holds them back, ends the stream. One thread, one connection after the other.
///
/// It knows TLS records by their headers, so that a byte has an address that does not move with the length of a
/// signature.
final class TamperingProxy: Sendable {
    /// In how large pieces the bytes are sent on, each in a `send` of its own.
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

    /// What is done to each connection.
    struct Plan: Sendable {
        /// Both ways.
        var pieces = Pieces.asTheyCome
        /// Which byte to the client is changed, and its bits that are.
        var flip: (address: Address, mask: UInt8)?
        /// Before which byte the stream to the client ends. What the broker still says is dropped.
        var end: Address?
        /// Whether the client is not told of the end, this one or the broker's own: it is sent no FIN.
        var hidesEnd = false
        /// How many bytes a second pass to the broker; `nil` for all that come.
        var bytesPerSecond: Int?
    }

    enum Valve: Sendable {
        case open
        /// Nothing is read, so that the buffers of both kernels fill.
        case shut
        /// All is read and kept, and sent in one go when the valve opens: the last bytes and FIN in one segment.
        case collecting
    }

    /// What has passed of one connection.
    struct Count: Sendable {
        /// Bytes that the sender's kernel has given.
        var received = 0
        /// Bytes that the receiver's kernel has taken.
        var sent = 0
        /// Those of them that the receiver has acknowledged: with TCP its kernel, on a Unix socket the program.
        var acknowledged = 0
        /// The records that have come whole, as the sender made them.
        var records: [TLSRecord] = []
        /// Whether the sender has ended its side.
        var hasEnded = false
    }

    let endpoint: MQTTEndpoint
    private let controls: ProxyControls

    /// - Parameters:
    ///   - broker: a port of 127.0.0.1, or a Unix socket.
    ///   - path: a Unix socket to listen at instead of a port: there each piece is sent when the client has read the
    ///     one before, which of TCP nobody can know.
    ///   - kernelBuffer: how much the kernel keeps of what nobody reads, about; `nil` for its own choice.
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

    /// The thread ends on its own, and closes what it has.
    deinit { controls.order { $0.isStopping = true } }

    /// What is done to the connections from now on.
    func setPlan(_ plan: Plan) { controls.order { $0.plan = plan } }

    func set(_ flow: Flow, _ valve: Valve) { controls.order { $0.valves[flow.rawValue] = valve } }

    /// Sends bytes of our own to the client, after what is under way.
    func inject(_ bytes: [UInt8]) { controls.order { $0.injected += bytes } }

    /// Ends the stream to the client with FIN, after what is under way.
    func finish() { controls.order { $0.isFinishing = true } }

    /// Resets the connection to the client, once its kernel has acknowledged what is under way, or has no room for
    /// more.
    func reset() { controls.order { $0.isResetting = true } }

    /// Of the connection that is there, or was the last.
    subscript(flow: Flow) -> Count { controls.look { $0.counts[flow.rawValue] } }

    /// How many connections there were.
    var connections: Int { controls.look { $0.connections } }

    var isConnected: Bool { controls.look { $0.isConnected } }

    /// Whether the byte of the plan has been changed in this connection.
    var hasFlipped: Bool { controls.look { $0.hasFlipped } }
}

/// A record of TLS, by its header (RFC 8446, section 5.1).
struct TLSRecord: Sendable, Hashable {
    /// 20 change_cipher_spec, 21 alert, 22 handshake, 23 application_data.
    var type: UInt8
    /// With the header.
    var length: Int
}

// SPDX-License-Identifier: Apache-2.0

public import Mosquitto

/// A TCP proxy between clients and a broker that does to their bytes what networks and attackers do: delays, throttles,
/// splits, holds back, cuts off and changes them.
///
/// The proxy listens at a free port of 127.0.0.1, or at a Unix socket, and opens a connection to the broker for each
/// one that a client opens. TLS passes through: the proxy sees ciphertext, and knows TLS records by their headers.
/// One thread serves all connections; it ends with the last reference to the proxy.
///
/// A ``Plan`` says what happens to a connection from its beginning. The methods of the proxy act at once, on the open
/// connections: ``set(_:_:)``, ``inject(_:)``, ``finish()`` and ``end(_:afterDelivery:)``.
public final class TCPProxy: Sendable {
    /// A way through the proxy.
    public enum Direction: Int, Sendable, CaseIterable {
        case toClient, toBroker
    }

    /// The permission to forward bytes in one direction.
    public enum Valve: Sendable {
        case open
        /// No bytes are read, so that the buffers of both kernels fill.
        case shut
        /// All bytes are read and kept, and sent at once when the valve opens: the last bytes and FIN in one segment.
        case collecting
    }

    /// The end of a connection that the client sees.
    public enum Ending: String, Sendable, CaseIterable {
        /// FIN.
        case close
        /// RST.
        case reset
    }

    /// Counts of the bytes that have passed in one direction of a connection.
    public struct Count: Sendable {
        /// Bytes read from the sender.
        public var received = 0
        /// Bytes that the receiver's kernel has accepted.
        public var sent = 0
        /// Bytes that the receiver has acknowledged: its kernel with TCP, its program with a Unix socket.
        public var acknowledged = 0
        /// The TLS records that have arrived completely, unchanged, if ``Plan/observesRecords`` is set.
        public var records: [TLSRecord] = []
        /// True if the sender has ended its side.
        public var hasEnded = false
    }

    /// A TLS record, by its header (RFC 8446, section 5.1).
    public struct TLSRecord: Sendable, Hashable {
        /// 20 change_cipher_spec, 21 alert, 22 handshake, 23 application_data.
        public var type: UInt8
        /// Length in bytes, with the header.
        public var length: Int

        public init(type: UInt8, length: Int) {
            self.type = type
            self.length = length
        }
    }

    /// The endpoint at which clients connect.
    public let endpoint: MQTTEndpoint
    private let controls: ProxyControls

    /// Begins to listen.
    ///
    /// - Parameters:
    ///   - broker: A port of 127.0.0.1, or a Unix socket. It may be closed: each connection is then closed at once.
    ///   - path: A Unix socket to listen at instead of a port. With ``Plan/pieces``, each piece is then sent when the
    ///     client has read the previous one, which cannot be known with TCP.
    ///   - plan: The changes to each connection; by default none.
    ///   - kernelBuffer: The approximate size in bytes of the kernel's buffers for unread bytes; `nil` for its own
    ///     choice. A link that is slow or shut is to have little room.
    /// - Throws: ``MosquittoTestingError/systemCall(_:errno:)``.
    public init(
        to broker: MQTTEndpoint, at path: String? = nil, plan: Plan = Plan(), kernelBuffer: Int32? = nil
    ) throws(MosquittoTestingError) {
        let listener =
            if let path { try ProxySocket(listeningAt: path) } else { try ProxySocket(listeningOn: kernelBuffer) }
        endpoint = path.map { .unixSocket($0) } ?? MQTTEndpoint(host: "127.0.0.1", port: listener.port)
        do throws(MosquittoTestingError) {
            controls = try ProxyControls(broker: broker, plan: plan)
        } catch {
            listener.close()
            throw error
        }
        let thread = ProxyThread(listener: listener, kernelBuffer: kernelBuffer, controls: controls)
        if !startThread(name: "tcp-proxy", { thread.run() }) {
            listener.close()
            throw .systemCall("pthread_create", errno: 0)
        }
    }

    /// Begins to listen, and forwards to a port of 127.0.0.1.
    public convenience init(
        to port: Int, at path: String? = nil, plan: Plan = Plan(), kernelBuffer: Int32? = nil
    ) throws(MosquittoTestingError) {
        let broker = MQTTEndpoint(host: "127.0.0.1", port: port)
        try self.init(to: broker, at: path, plan: plan, kernelBuffer: kernelBuffer)
    }

    deinit { stop() }

    /// The port at which clients connect; 0 for a Unix socket.
    public var port: Int { endpoint.port }

    // MARK: Orders

    /// Sets the port of 127.0.0.1 to which connections from now on go.
    public func setBroker(port: Int) { controls.order { $0.broker = MQTTEndpoint(host: "127.0.0.1", port: port) } }

    /// Sets the plan of all connections from now on.
    public func setPlan(_ plan: Plan) { controls.order { $0.plan = { _ in plan } } }

    /// Sets the plans of all connections from now on.
    ///
    /// - Parameter plan: Returns the plan of a connection, whose number counts from 1 for the first one of the proxy.
    ///   Called on the proxy's thread.
    public func setPlan(_ plan: @escaping @Sendable (_ connection: Int) -> Plan) { controls.order { $0.plan = plan } }

    /// Sets the valve of one direction, for all connections until the next call.
    public func set(_ direction: Direction, _ valve: Valve) {
        controls.order { $0.valves[direction.rawValue] = valve }
    }

    /// Sends bytes of the caller to the clients of all open connections, after those under way.
    public func inject(_ bytes: [UInt8]) { controls.order { $0.injected += bytes } }

    /// Ends the stream to the clients of all open connections with FIN, after the bytes under way. The other direction
    /// stays open.
    public func finish() { controls.order { $0.isFinishing = true } }

    /// Ends all open connections. The broker sees the end of the client's stream.
    ///
    /// - Parameters:
    ///   - ending: The way in which the client sees the end.
    ///   - afterDelivery: True to wait until the client's kernel has acknowledged the bytes under way, or has taken no
    ///     more of them for 300 ms. False to discard them.
    public func end(_ ending: Ending, afterDelivery: Bool = false) {
        controls.order { $0.ending = (ending, afterDelivery) }
    }

    /// Closes all connections and the listener. A second call has no effect.
    public func stop() { controls.order { $0.isStopping = true } }

    // MARK: Counts

    /// The counts of the newest connection, open or not.
    public subscript(direction: Direction) -> Count { controls.look { $0.counts[direction.rawValue] } }

    /// The round trips of the newest connection: how often the client sent something after the broker had, or first.
    public var roundTrips: Int { controls.look { $0.roundTrips } }

    /// True if the byte of ``Plan/flip`` has been changed in the newest connection.
    public var hasFlipped: Bool { controls.look { $0.hasFlipped } }

    /// Number of connections accepted so far.
    public var connections: Int { controls.look { $0.connections } }

    /// True if a connection is open.
    public var isConnected: Bool { controls.look { $0.open > 0 } }

    /// Number of connections that a ``Plan/cut`` in this direction has ended.
    public func cuts(_ direction: Direction) -> Int { controls.look { $0.cuts[direction.rawValue] } }

    /// Number of connections that ``Plan/filter`` has ended.
    public var rejections: Int { controls.look { $0.rejections } }
}

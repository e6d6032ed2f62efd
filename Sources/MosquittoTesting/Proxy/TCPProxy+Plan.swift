// SPDX-License-Identifier: Apache-2.0

extension TCPProxy {
    /// The changes that the proxy makes to a connection. By default there are none.
    public struct Plan: Sendable {
        /// The time that each byte spends in the proxy, in both directions. Of bytes under way, about 1 MiB is kept.
        public var delay: Duration
        /// The rate to the broker in bytes per second, with bursts of up to 100 ms; `nil` for no limit.
        public var bytesPerSecond: Int?
        /// The pieces in which bytes are forwarded, in both directions.
        public var pieces: Pieces
        /// The place at which the connection is cut; `nil` for nowhere.
        public var cut: Cut?
        /// The byte to the client that is changed; `nil` for none.
        public var flip: Flip?
        /// The byte before which the stream to the client ends with FIN. Further bytes from the broker are discarded,
        /// and the other direction stays open. `nil` for nowhere.
        public var end: Position?
        /// True if the client receives no FIN, neither at ``end`` nor when the broker ends its stream.
        public var hidesEnd: Bool
        /// True to list the TLS records of both directions in ``Count/records``.
        public var observesRecords: Bool
        /// The decision about each MQTT packet to the broker, on the proxy's thread; `nil` for no filter. The
        /// connection must be plain MQTT.
        public var filter: (@Sendable (_ packet: [UInt8]) -> Verdict)?

        public init(
            delay: Duration = .zero, bytesPerSecond: Int? = nil, pieces: Pieces = .asTheyCome, cut: Cut? = nil,
            flip: Flip? = nil, end: Position? = nil, hidesEnd: Bool = false, observesRecords: Bool = false,
            filter: (@Sendable (_ packet: [UInt8]) -> Verdict)? = nil
        ) {
            self.delay = delay
            self.bytesPerSecond = bytesPerSecond
            self.pieces = pieces
            self.cut = cut
            self.flip = flip
            self.end = end
            self.hidesEnd = hidesEnd
            self.observesRecords = observesRecords
            self.filter = filter
        }
    }

    /// The sizes of the pieces in which bytes are sent on, each in a `send` of its own.
    public enum Pieces: Sendable, Hashable {
        case asTheyCome
        case single
        /// From 1 byte to 1,400, drawn from this seed.
        case random(seed: UInt64)
    }

    /// A cut of a connection: the bytes up to the limit arrive, the next one does not.
    public struct Cut: Sendable, Hashable {
        /// The direction whose bytes are counted.
        public var direction: Direction
        /// The number of bytes that arrive.
        public var bytes: Int
        /// The end that the client sees.
        public var ending: Ending
        /// The time for which the other direction stays open. Packets that it carries are no longer answered.
        public var lag: Duration

        public init(_ direction: Direction, after bytes: Int, _ ending: Ending = .close, lag: Duration = .zero) {
            self.direction = direction
            self.bytes = bytes
            self.ending = ending
            self.lag = lag
        }
    }

    /// A byte of the stream to the client, by its TLS record: an address that does not move with the length of a
    /// signature.
    public struct Position: Sendable, Hashable, Comparable {
        /// The record, counted from 0.
        public var record: Int
        /// The byte of the record, counted from 0; the first five are the header.
        public var byte: Int

        public init(record: Int, byte: Int = 0) {
            self.record = record
            self.byte = byte
        }

        public static func < (left: Position, right: Position) -> Bool {
            (left.record, left.byte) < (right.record, right.byte)
        }
    }

    /// A change of one byte.
    public struct Flip: Sendable, Hashable {
        public var position: Position
        /// The bits to flip.
        public var mask: UInt8

        public init(_ position: Position, mask: UInt8) {
            self.position = position
            self.mask = mask
        }
    }

    /// The decision about a packet to the broker.
    public enum Verdict: Sendable {
        case pass
        /// Withholds the packet from the broker, sends these bytes to the client and closes the connection.
        case end([UInt8])
    }
}

// SPDX-License-Identifier: Apache-2.0

/// MQTT over WebSockets (MQTT 5.0, section 6; RFC 6455).
extension ScriptedBroker {
    /// The WebSockets of a broker: the answer to an upgrade, and the frames after it. SwiftNIO parses and writes both.
    public struct WebSocket: Sendable, Equatable {
        /// The answer to the request for an upgrade.
        public enum Upgrade: Sendable, Equatable {
            /// Answers 101, with further header fields. They replace fields that the broker would send.
            case accept(headers: [String: String] = [:])
            /// Answers with another status, header fields and a body, and closes.
            case refuse(status: Int, reason: String = "", headers: [String: String] = [:], body: String = "")
            /// Answers with any bytes, and closes or stays open and silent.
            case raw([UInt8], close: Bool)
            /// Reads, and never answers.
            case silent
            /// Closes without an answer.
            case close
        }

        /// The frames that the broker sends.
        public struct Framing: Sendable, Equatable {
            /// Maximum number of payload bytes in a frame, at least 1; `nil` for one frame for each packet.
            public var maximumFrame: Int?
            /// True if the frames of a packet are fragments of one message, false if each is a message of its own.
            public var fragments: Bool
            /// True for a ping before each frame, also between the fragments of a message.
            public var pings: Bool

            public init(maximumFrame: Int? = nil, fragments: Bool = false, pings: Bool = false) {
                self.maximumFrame = maximumFrame
                self.fragments = fragments
                self.pings = pings
            }
        }

        /// The answers on the first, second, … connection. The last entry repeats. Default: accept.
        public var upgrades: [Upgrade]
        /// The subprotocol in the answer, whatever the client offers; `nil` for none. Default `mqtt`.
        public var subprotocol: String?
        /// The frames that the broker sends.
        public var framing: Framing

        public init(upgrades: [Upgrade] = [.accept()], subprotocol: String? = "mqtt", framing: Framing = Framing()) {
            self.upgrades = upgrades
            self.subprotocol = subprotocol
            self.framing = framing
        }
    }

    /// A request for an upgrade, as received.
    public struct ReceivedUpgrade: Sendable {
        /// The method, `GET` for a client that keeps to RFC 6455.
        public let method: String
        /// The target: path and query.
        public let path: String
        /// The header fields in their order.
        public let headers: [(name: String, value: String)]
        /// The number of the connection, counted from 0.
        public let connection: Int

        /// Returns the values of a header field, joined with commas; `nil` if it was not sent.
        public subscript(name: String) -> String? {
            let values = headers.filter { $0.name.lowercased() == name.lowercased() }.map(\.value)
            return values.isEmpty ? nil : values.joined(separator: ", ")
        }
    }

    /// A frame, as received.
    public struct ReceivedFrame: Sendable, Equatable {
        /// The opcode: 0 continuation, 1 text, 2 binary, 8 close, 9 ping, 10 pong.
        public let opcode: UInt8
        /// Number of bytes of the payload.
        public let length: Int
        /// True for the last fragment of a message, and for a whole one.
        public let isFinal: Bool
        /// True if the payload was masked, as a client has to.
        public let isMasked: Bool
        /// The unmasked payload of a control frame; empty for a data frame.
        public let control: [UInt8]
        /// The number of the connection, counted from 0.
        public let connection: Int

        /// The code of a close frame; `nil` if it has none, and for other frames.
        public var closeCode: Int? {
            opcode == 8 && control.count >= 2 ? Int(control[0]) << 8 | Int(control[1]) : nil
        }
    }

    /// The WebSockets of connections accepted from now on; `nil` for MQTT without them. A new value starts with the
    /// first entry of its ``WebSocket/upgrades``.
    public var webSocket: WebSocket? {
        get { settings.webSocket }
        set { settings.webSocket = newValue }
    }

    /// All requests for an upgrade, in order of arrival, including refused ones.
    public var upgrades: [ReceivedUpgrade] { record.withState { $0.upgrades } }

    /// The received frames, in order of arrival. Data frames are left out while ``recordPublishes`` is `false`.
    public var frames: [ReceivedFrame] { record.withState { $0.frames } }

    /// Sends raw bytes to every client, above TLS and below WebSockets: frames of your own, or what is none.
    public func injectBelowWebSocket(_ bytes: [UInt8]) { onLoop { $0.injectBelowWebSocket(bytes) } }
}

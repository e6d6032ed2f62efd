// SPDX-License-Identifier: Apache-2.0

/// The behavior of a ``ScriptedBroker`` on one TCP connection.
public enum ConnectionScript: Sendable, Equatable {
    /// Behaves as a broker.
    case serve

    /// Answers CONNECT with a CONNACK of this code, in the shape of the client's protocol version.
    ///
    /// - Parameters:
    ///   - code: The return code (3.1.1) or the reason code (5.0).
    ///   - close: True to close the connection afterwards, as the specification demands; false to leave it open and
    ///     silent.
    case refuse(code: UInt8, close: Bool)

    /// Accepts the TCP connection, then reads and sends nothing: not even the TLS handshake begins.
    case silent

    /// Completes the TLS handshake and reads everything, but never answers.
    case silentAfterConnect

    /// Closes as soon as TCP is connected.
    case closeOnAccept

    /// Resets as soon as TCP is connected, before TLS.
    case resetOnAccept

    /// Closes when CONNECT has arrived, without an answer.
    case closeAfterConnect

    /// Resets when the first bytes have arrived (with TLS: in the middle of the handshake).
    case resetMidHandshake

    /// Answers CONNECT with these bytes, valid or not. Afterwards the connection is closed, or stays open and silent.
    case reply([UInt8], close: Bool)

    /// Behaves as a broker, then ends the connection some time after CONNACK.
    ///
    /// An MQTT 5.0 client receives DISCONNECT first. MQTT 3.1.1 has no such packet: the connection is just closed.
    ///
    /// - Parameters:
    ///   - reasonCode: The reason code of DISCONNECT.
    ///   - properties: The properties of DISCONNECT in wire format, without their length.
    ///   - after: The time from CONNACK to DISCONNECT.
    case serveThenDisconnect(reasonCode: UInt8, properties: [UInt8] = [], after: Duration)

    /// Behaves as a broker, then closes the connection without a packet, this time after CONNACK.
    case serveThenClose(after: Duration)

    /// Behaves as a broker, but leaves packets of one type unanswered, and ends the connection when `count` of them
    /// have arrived.
    ///
    /// An MQTT 5.0 client receives DISCONNECT first, as in ``serveThenDisconnect(reasonCode:properties:after:)``.
    ///
    /// - Parameters:
    ///   - type: The type of the packets, such as ``ReceivedPacketType/subscribe``.
    ///   - count: The number of such packets after which the connection ends.
    ///   - reasonCode: The reason code of DISCONNECT.
    case disconnectOn(ReceivedPacketType, count: Int = 1, reasonCode: UInt8)

    /// Behaves as a broker, but never acknowledges the first QoS 1 message of the connection.
    case withholdFirstAcknowledgement

    /// Sends these bytes on accept, before and without TLS, keeps the connection open, and discards received bytes.
    case raw([UInt8])

    /// True if the connection never gets as far as TLS and MQTT.
    var isTransportOnly: Bool {
        switch self {
        case .silent, .closeOnAccept, .resetOnAccept, .resetMidHandshake, .raw: true
        default: false
        }
    }
}

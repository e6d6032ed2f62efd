// SPDX-License-Identifier: Apache-2.0

import Testing
import Turns

@testable import Mosquitto

/// A server's whole stream, from the answer to the upgrade to the close frame, given to a ``Connection`` in single bytes
/// and with each of its bits flipped.
@Suite(.turn(.units), .timeLimit(.minutes(2))) struct `A WebSocket server's stream` {
    private final class Rig {
        let connection: Connection
        private let server: StreamSocket
        private let scratch = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 16, alignment: 16)
        private(set) var topics: [String] = []
        private(set) var hasConnack = false
        /// The refusal in the CONNACK, for which a client ends the connection.
        private var refusal: MQTTError?

        init() throws {
            let (mine, servers) = try #require(StreamSocket.pair(bufferSize: 1 << 18))
            server = servers
            var configuration = MQTTClientConfiguration(host: "nobody", tls: nil)
            configuration.version = .v3_1_1
            connection = try Connection(
                ConnectRace.Winner(address: "", socket: mine), tls: nil,
                webSocket: MQTTWebSocketRequest(to: .webSocket(host: "nobody")), configuration: configuration,
                scratch: scratch)
            guard case .reached = try connection.start(), case .handshaken = try connection.advanceHandshake(),
                connection.needsUpgrade
            else { throw MQTTError(.system, "there is no upgrade") }
            try connection.startUpgrade()
        }

        deinit {
            connection.close()
            server.close()
            scratch.deallocate()
        }

        /// The answer to the request, and frames with a CONNACK and three messages.
        func stream() throws -> [UInt8] {
            var request = [UInt8](repeating: 0, count: 4_096)
            guard case .bytes(let count) = request.withUnsafeMutableBytes({ server.receive(into: $0) }) else {
                throw MQTTError(.system, "there is no request")
            }
            let lines = String(decoding: request[..<count], as: UTF8.self).split(separator: "\r\n")
            let key = try #require(lines.first(where: { $0.hasPrefix("Sec-WebSocket-Key: ") })?.dropFirst(19))
            let answer =
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                + "Sec-WebSocket-Accept: \(WebSocketHandshake.accept(String(key)))\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n"
            func publish(_ topic: String) -> [UInt8] {
                [0x30, UInt8(2 + topic.utf8.count), 0, UInt8(topic.utf8.count)] + Array(topic.utf8)
            }
            let long = String(repeating: "c", count: 120)
            return Array(answer.utf8) + ServerFrames.frame(2, [0x20, 2, 0, 0]) + ServerFrames.frame(9, [1])
                + ServerFrames.frame(2, Array(publish("aa").prefix(3)), isFinal: false) + ServerFrames.frame(9, [2, 3])
                + ServerFrames.frame(0, Array(publish("aa").dropFirst(3)) + publish("bb"))
                + ServerFrames.frame(2, publish(long) + publish("dd")) + ServerFrames.close(1_001, "bye")
        }

        /// Gives the bytes to the connection, and then the end. Returns the error, which each stream ends in.
        func play(_ bytes: [UInt8], pieceSize: Int) -> MQTTError? {
            do throws(MQTTError) {
                var rest = bytes[...]
                while !rest.isEmpty {
                    let piece = Array(rest.prefix(pieceSize))
                    rest = rest.dropFirst(piece.count)
                    _ = piece.withUnsafeBytes { server.send($0) }
                    try advance()
                }
                server.finishWriting()
                // The rest of a refusal is awaited by a timer.
                try advance()
                try connection.endRefusal()
                try advance()
                return refusal
            } catch {
                take()
                return error
            }
        }

        private func advance() throws(MQTTError) {
            _ = try connection.advance(.readable)
            take()
            try connection.flush()
        }

        private func take() {
            var packets: [ServerPacket] = []
            connection.takePackets(&packets)
            for packet in packets {
                switch packet {
                case .connack(let connack):
                    hasConnack = true
                    if connack.code != 0 { refusal = connack.refusal(connack.code, .v3_1_1) }
                case .publish(let message, _): topics.append("\(message.topic)")
                default: break
                }
            }
        }
    }

    private static let topics = ["aa", "bb", String(repeating: "c", count: 120), "dd"]

    @Test(arguments: [1, 2, 3, 7, 64, 1_000]) func `is read in pieces of any size`(pieceSize: Int) throws {
        let rig = try Rig()
        let error = rig.play(try rig.stream(), pieceSize: pieceSize)
        #expect(rig.hasConnack && rig.topics == Self.topics)
        #expect(error?.code == .closed && error?.webSocket?.closeCode == 1_001, "\(error as Any)")
    }

    /// A flipped bit of a topic, of a ping or of a close code is no violation; any other is.
    @Test func `ends in a typed error, whichever bit is flipped`() throws {
        let length = try Rig().stream().count
        let codes: Set<MQTTError.Code> = [
            .closed, .protocolViolation, .upgradeRefused, .refused, .notAuthorized, .proxy,
        ]
        var unharmed = 0
        for bit in 0..<(8 * length) {
            let rig = try Rig()
            var bytes = try rig.stream()
            bytes[bit / 8] ^= 1 << UInt8(bit % 8)
            let error = rig.play(bytes, pieceSize: bit % 16 == 0 ? 1 : .max)
            let flip = "byte \(bit / 8), bit \(bit % 8)"
            let code = try #require(error?.code, "\(flip): the connection is still up")
            #expect(codes.contains(code), "\(flip): \(error as Any)")
            #expect(rig.topics.count <= 2 * Self.topics.count, "\(flip): \(rig.topics)")
            if rig.topics == Self.topics { unharmed += 1 }
        }
        // Letters of header fields whose case counts for nothing, pings, the close frame.
        #expect(unharmed > 0 && unharmed < 8 * length / 2, "\(unharmed) of \(8 * length)")
    }

    @Test func `ends in a typed error, wherever it is cut`() throws {
        let length = try Rig().stream().count
        for end in 0..<length {
            let rig = try Rig()
            let error = rig.play(Array(try rig.stream().prefix(end)), pieceSize: end % 2 == 0 ? 1 : .max)
            #expect(error?.code == .closed, "after \(end) bytes: \(error as Any)")
        }
    }
}

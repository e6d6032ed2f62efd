// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Testing

extension DataPath.UnderLoad {
    @Suite("Ciphertext may come in pieces of any size", .timeLimit(.minutes(3)))
    struct SplitCiphertextTests {
        struct Cut: Sendable, CustomTestStringConvertible {
            let wire: Wire
            let pieces: TCPProxy.Pieces
            /// On a Unix socket each piece is read before the next one is sent; on TCP the kernel may join them again.
            let isUnix: Bool

            var testDescription: String { "\(wire), \(pieces), \(isUnix ? "Unix socket" : "TCP")" }

            static let all =
                Wire.tls.flatMap { wire in
                    [TCPProxy.Pieces.single, .random(seed: 1), .random(seed: 2), .random(seed: 3)].flatMap { pieces in
                        [true, false].map { Cut(wire: wire, pieces: pieces, isUnix: $0) }
                    }
                } + Wire.webSockets.map { Cut(wire: $0, pieces: .single, isUnix: false) }
        }

        @Test(arguments: Cut.all) func `a hundred messages each way arrive in order`(cut: Cut) async throws {
            // Fragments within the pieces, with pings in between.
            let webSocket = cut.wire.webSocket.map {
                var webSocket = $0
                webSocket.framing = .init(maximumFrame: 3, fragments: true, pings: true)
                return webSocket
            }
            let broker = try await ScriptedBroker.start(tls: cut.wire.identity, webSocket: webSocket)
            let folder = try TemporaryDirectory()
            let path = cut.isUnix ? folder.path + "/proxy.sock" : nil
            let proxy = try TCPProxy(to: broker.port, at: path, plan: .init(pieces: cut.pieces))
            var configuration = configuration(of: proxy, cut.wire)
            // A byte at a time, on a machine that has other things to do.
            configuration.timeouts.tlsHandshake = .seconds(60)
            configuration.timeouts.attempt = .seconds(60)
            let expected = (0..<100).map(String.init)
            try await withBusyClient(configuration) { client, _ in
                let info = try await client.waitUntilConnected(timeout: .seconds(60))
                #expect(info.tls?.version == cut.wire.versionName)
                try await client.subscribe(to: "down") { messages in
                    for text in expected { broker.publish(topic: "down", payload: text, qos: 1) }
                    for text in expected { try await client.publish(text, to: "up") }
                    var received: [String] = []
                    for await message in messages {
                        received.append(message.payloadString)
                        if received.count == expected.count { break }
                    }
                    #expect(received == expected)
                }
            }
            #expect(broker.publishes.map(\.text) == expected)
            #expect(broker.errors.isEmpty)
            await broker.stop()
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

import MosquittoTesting
import Testing

@testable import Mosquitto

#if os(Linux)
extension ProcessResources {
    /// Connects clients over an address that never answers, one that refuses and one that is the broker's: the race leaves
    /// sockets that lost.
    static func race(_ count: Int, to broker: ScriptedBroker, tls: MQTTTLSConfiguration?) async throws {
        for _ in 0..<count {
            let client = MQTTClient(
                testConfiguration(port: broker.port, tls: tls), eventLoop: .shared, logger: quiet
            ) { _ in .success(["127.0.0.2", "127.0.0.3", "127.0.0.1"]) }
            try await client.start()
            let info = try await client.waitUntilConnected(timeout: .seconds(30))
            if info.address != "127.0.0.1" { fatalError("connected to \(info.address)") }
            try await client.publish("x", to: "a")
            try? await client.shutdown()
        }
    }
}
#endif

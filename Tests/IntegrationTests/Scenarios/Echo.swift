// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import Testing

/// Sizes at the borders of the length of a packet, of a WebSocket frame and of a TLS record, and 1 MiB.
enum Sizes {
    static let all = [0, 1, 100, 125, 126, 127, 128, 16_383, 16_384, 65_500, 65_536, 70_000, 1 << 20]
    static let largest = 2 << 20

    /// The bytes of the largest one; no two neighbours are equal.
    static let bytes = [UInt8](unsafeUninitializedCapacity: largest) { buffer, count in
        for index in 0..<largest { buffer[index] = UInt8(truncatingIfNeeded: index &* 7) }
        count = largest
    }
}

/// Publishes a message of each size with each quality of service, and expects all of them back: once, in order, whole.
@discardableResult
func expectMessagesComeBack(
    _ configuration: MQTTClientConfiguration, qualities: [MQTTQoS] = MQTTQoS.allCases, sizes: [Int] = Sizes.all
) async throws -> MQTTConnectionInfo {
    try await withMQTTClient(configuration, logger: quiet) { client in
        let info = try await client.waitUntilConnected(timeout: .seconds(30))
        for qos in qualities {
            try await client.subscribe(to: MQTTSubscription("size/\(qos.rawValue)/#", qos: qos)) { messages in
                for size in sizes {
                    let topic = MQTTTopic("size/\(qos.rawValue)/\(size)")
                    try await client.publish(Array(Sizes.bytes[..<size]), to: topic, qos: qos)
                }
                var seen: [Int] = []
                for await message in messages {
                    let size = message.payload.count
                    #expect(message.topic == "size/\(qos.rawValue)/\(size)")
                    let isWhole = Array(message.payload) == Array(Sizes.bytes[..<size])
                    #expect(isWhole, "\(size) bytes at \(qos)")
                    seen.append(size)
                    if seen.count == sizes.count { break }
                }
                #expect(seen == sizes)
            }
        }
        return info
    }
}

// SPDX-License-Identifier: Apache-2.0

import Foundation
import MosquittoTesting

/// One mosquitto for all rows that need a real broker, with retained messages that mosquitto_pub has published:
///
/// | topic | what |
/// | --- | --- |
/// | `fixed/binary` | bytes that are no text |
/// | `fixed/json` | JSON, QoS 1 |
/// | `fixed/properties` | the properties of MQTT 5.0 that do not change with time, QoS 2 |
/// | `fixed/text` | text, QoS 0 |
actor SharedMosquitto {
    static let shared = SharedMosquitto()

    private var starting: Task<LocalMosquitto, any Error>?

    func broker() async throws -> LocalMosquitto {
        let task = starting ?? Task { try await Self.start() }
        starting = task
        return try await task.value
    }

    private static func start() async throws -> LocalMosquitto {
        let broker = try await LocalMosquitto.start()
        let properties = [
            "payload-format-indicator 1", "content-type text/plain", "response-topic re/ply", "correlation-data c1",
            "user-property name value", "user-property name again",
        ].flatMap { ["-D", "publish"] + $0.split(separator: " ").map(String.init) }
        try await publish(broker, "fixed/binary", ["-s"], input: [0xFF, 0x00, 0x0A, 0x22, 0x5C, 0x7F])
        try await publish(broker, "fixed/json", ["-m", #"{"a": [1, 2.50, "\u00e9"], "b": {}}"#, "-q", "1"])
        try await publish(broker, "fixed/text", ["-m", "hello, world"])
        // Last: mosquitto_sub prints a QoS 2 message after all messages that arrive before its PUBREL; mosq prints
        // messages in the order of arrival.
        try await publish(broker, "fixed/properties", ["-m", "rich", "-V", "5", "-q", "2"] + properties)
        return broker
    }

    private static func publish(
        _ broker: LocalMosquitto, _ topic: String, _ arguments: [String], input: [UInt8] = []
    ) async throws {
        guard let program = Program.mosquitto(.pub) else { return }
        let process = try ClientProcess(
            program, ["-p", "\(broker.port)", "-r", "-t", topic] + arguments, input: input,
            configuration: "/nonexistent")
        let end = try await process.end(timeout: .seconds(10))
        if end.status != 0 { throw PublishFailure(errors: end.errors) }
    }

    struct PublishFailure: Error {
        let errors: String
    }
}

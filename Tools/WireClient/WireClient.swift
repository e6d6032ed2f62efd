// SPDX-License-Identifier: Apache-2.0

import Mosquitto

#if canImport(Darwin)
import Darwin
#elseif canImport(Musl)
import Musl
#else
import Glibc
#endif

/// The clients of libmosquitto's own test suite, written with this library.
///
/// A driver of the suite starts this program as `NAME.test PORT` and compares its packets byte by byte. The program
/// selects the client by its own name.
@main
enum WireClient {
    static func main() async {
        let path = CommandLine.arguments[0].replacing(".test", with: "")
        let name = path.split(separator: "/").last.map(String.init) ?? ""
        guard let program = programs[name],
            let port = CommandLine.arguments.last.flatMap(Int.init) ?? (offline[name] == nil ? nil : 0)
        else {
            print("usage: NAME.test PORT, with NAME one of: \(programs.keys.sorted().joined(separator: " "))")
            exit(64)
        }
        do {
            try await program(port)
        } catch {
            print("\(name): \(error)")
            exit(1)
        }
    }

    /// 09: functions that need no broker.
    private static let offline: [String: Program] = [
        "09-util-topic-tokenise": { _ in
            for (topic, levels) in [
                ("topic", ["topic"]),
                ("a/deep/topic/hierarchy", ["a", "deep", "topic", "hierarchy"]),
                ("/a/deep/topic/hierarchy", ["", "a", "deep", "topic", "hierarchy"]),
                ("a/b/c", ["a", "b", "c"]),
                ("/a/b/c", ["", "a", "b", "c"]),
                ("a///hierarchy", ["a", "", "", "hierarchy"]),
                ("/a///hierarchy", ["", "a", "", "", "hierarchy"]),
                ("/a///hierarchy/", ["", "a", "", "", "hierarchy", ""]),
            ] where MQTTTopic(topic).levels.map(String.init) != levels { throw Unexpected(topic) }
        }
    ]

    typealias Program = @Sendable (_ port: Int) async throws -> Void

    private static let programs: [String: Program] =
        connecting.merging(subscribing) { first, _ in first }
        .merging(publishing) { first, _ in first }
        .merging(receiving) { first, _ in first }
        .merging(encrypted) { first, _ in first }
        .merging(offline) { first, _ in first }

    struct Unexpected: Error, CustomStringConvertible {
        let description: String
        init(_ description: String) { self.description = description }
    }

    /// Returns the configuration common to the suite's programs: plain TCP, and libmosquitto's default Receive Maximum.
    static func configuration(
        _ port: Int, _ clientID: String, _ version: MQTTVersion = .v3_1_1, keepAlive: Int = 60
    ) -> MQTTClientConfiguration {
        var configuration = MQTTClientConfiguration(host: "localhost", port: port, tls: nil)
        configuration.clientID = clientID
        configuration.version = version
        configuration.keepAlive = .seconds(keepAlive)
        configuration.receiving.receiveMaximum = 20
        configuration.receiving.maximumPacketSize = 268_435_460
        configuration.receiving.topicAliasMaximum = 0
        return configuration
    }

    /// Connects, runs the body of the test, and disconnects.
    static func run(
        _ configuration: MQTTClientConfiguration, _ body: (MQTTClient) async throws -> Void = { _ in }
    ) async throws {
        let client = MQTTClient(configuration)
        try await client.start()
        try await client.waitUntilConnected(timeout: .seconds(10))
        try await body(client)
        try? await client.shutdown()
    }

    /// Stays connected until the driver ends the process or the connection.
    static func stay(_ configuration: MQTTClientConfiguration) async throws {
        let client = MQTTClient(configuration)
        let events = client.events()
        try await client.start()
        for await event in events {
            if case .disconnected = event.kind { break }
        }
    }

    /// The code with which a call was refused.
    static func refusal(_ body: () async throws -> Void) async throws -> MQTTReasonCode {
        do { try await body() } catch let error as MQTTError {
            if let code = error.reasonCode { return code }
            throw error
        }
        throw Unexpected("it was not refused")
    }
}

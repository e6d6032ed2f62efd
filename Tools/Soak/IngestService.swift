// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import Logging
import Mosquitto
import ServiceLifecycle
import UnixSignals

/// The service of the documentation, in a process of its own: stores each message, and is restarted by ``Restarts``.
struct IngestService: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ingest-service", abstract: "The program that restarts restarts.", shouldDisplay: false)

    @Option var port: Int
    @Option var store: String
    /// The service before the client in the group.
    @Flag var serviceFirst = false
    /// The message after which the body throws, once a process.
    @Option var throwAfter: Int?

    struct Ingest: Service {
        let client: MQTTClient
        let store: FileHandle
        let throwAfter: Int?

        func run() async throws {
            try await client.subscribe(to: MQTTSubscription("ingest", qos: .atLeastOnce)) { messages in
                var count = 0
                for await message in messages {
                    count += 1
                    if count == throwAfter { throw SoakFailure("the store is full") }
                    try store.write(contentsOf: Data((message.payloadString + "\n").utf8))
                }
            }
        }
    }

    func run() async throws {
        var configuration = MQTTClientConfiguration(host: "127.0.0.1", port: port, tls: nil)
        configuration.clientID = "ingest"
        configuration.session = .persistent(expiry: .seconds(3_600))
        configuration.acknowledgement = .afterHandling
        configuration.retry.baseDelay = .milliseconds(100)
        let client = MQTTClient(configuration, logger: .criticalOnly)
        guard let file = FileHandle(forWritingAtPath: store) else { throw SoakFailure("no store at \(store)") }
        try file.seekToEnd()
        let ingest = Ingest(client: client, store: file, throwAfter: throwAfter)
        let services: [any Service] = serviceFirst ? [ingest, client] : [client, ingest]
        let group = ServiceGroup(
            services: services, gracefulShutdownSignals: [.sigterm], logger: .criticalOnly)
        try await group.run()
    }
}

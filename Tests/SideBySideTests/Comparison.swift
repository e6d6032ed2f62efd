// SPDX-License-Identifier: Apache-2.0

import Foundation
import MosquittoTesting
import Testing

/// Runs a row with both programs.
struct Comparison: Sendable {
    let reference: Outcome
    let ours: Outcome
    let referenceErrors: String
    let errors: String

    init(_ row: Row) async throws {
        let mosquitto = try #require(
            Program.mosquitto(row.command), "mosquitto's clients are not installed (scripts/setup)")
        let variations = row.variations(try await .current())
        async let reference = Self.run(row, mosquitto, variations)
        async let ours = Self.run(row, .mosq(row.command), variations)
        (self.reference, referenceErrors) = try await reference
        (self.ours, errors) = try await ours
    }

    private static func run(
        _ row: Row, _ program: Program, _ variations: Set<Row.Variation>
    ) async throws -> (Outcome, String) {
        let (end, packets) = try await end(row, program)
        return (Outcome(end, packets: packets, varies: variations), end.errors)
    }

    private static func end(_ row: Row, _ program: Program) async throws -> (ClientEnd, [ReceivedPacket]) {
        let folder = try TemporaryDirectory()
        for (name, text) in row.files { try folder.write(text, to: name) }
        switch row.scene {
        case .recorded(let script):
            if script.tls { try TestIdentities.shared?.write(to: folder) }
            let broker = try await script.start()
            let result = try await run(row, program, folder, port: broker.port, with: broker, script)
            await broker.stop()
            return result
        case .unixSocket:
            let broker = try await ScriptedBroker.start(unixSocket: "\(folder.path)/socket")
            let result = try await run(row, program, folder, port: 1, with: broker, .init())
            await broker.stop()
            return result
        case .mosquitto:
            let broker = try await SharedMosquitto.shared.broker()
            return try await run(row, program, folder, port: broker.port, with: nil, .init())
        case .nobody:
            return try await run(row, program, folder, port: try freePort(), with: nil, .init())
        }
    }

    private static func run(
        _ row: Row, _ program: Program, _ folder: TemporaryDirectory, port: Int, with broker: ScriptedBroker?,
        _ script: Row.Script
    ) async throws -> (ClientEnd, [ReceivedPacket]) {
        var arguments = row.arguments
        if row.hasConnection { arguments = ["-h", "127.0.0.1", "-p", "{port}", "-i", "side"] + arguments }
        arguments = arguments.map {
            $0.replacing("{port}", with: "\(port)").replacing("{folder}", with: folder.path)
        }
        for (name, text) in row.files where text.contains("{port}") {
            try folder.write(text.replacing("{port}", with: "\(port)"), to: name)
        }
        let process = try ClientProcess(program, arguments, input: row.input, configuration: folder.path)
        if let broker {
            for send in script.sends {
                let isReady = await eventually {
                    !process.isRunning || broker.receivedPackets.contains { $0.type == send.after }
                }
                if isReady { broker.inject(send.bytes) }
            }
        }
        let end = try await process.end(timeout: .seconds(60))
        if let broker { _ = await broker.waitUntil { $0.openConnections == 0 } }
        return (end, broker?.receivedPackets ?? [])
    }
}

extension Row.Script {
    fileprivate func start() async throws -> ScriptedBroker {
        let identities = tls ? TestIdentities.shared : nil
        let broker = try await ScriptedBroker.start(
            tls: identities?.server, clientAuthority: clientCertificates ? identities?.authority : nil,
            authentication: user.map { .password($0.name, $0.password) } ?? .none, script: [behavior])
        broker.connackProperties = connackProperties
        for message in retained { broker.publish(topic: message.topic, payload: message.payload, retain: true) }
        return broker
    }
}

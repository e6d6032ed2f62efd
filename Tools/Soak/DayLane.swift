// SPDX-License-Identifier: Apache-2.0

import Foundation
import Mosquitto
import MosquittoTesting
import Promises

#if os(Linux)
/// One client of the compressed day. The seed determines its faults; the machine determines their pace.
actor DayLane {
    nonisolated let name: String
    var tally = DayTally()

    let number: Int
    let broker: DayBroker
    let proxy: TCPProxy
    let folder: TemporaryDirectory
    let credentials = DayCredentials()
    let client: MQTTClient
    private let probe = LoopProbe(.shared)
    var numbers: JitterGenerator
    private var background: [Task<Void, any Error>] = []
    /// The number of connections at which the files are replaced next.
    var nextReplacement = 100

    init(
        _ number: Int, seed: UInt64, version: MQTTTLSConfiguration.Version, resumes: Bool, broker: DayBroker
    ) throws {
        name = "TLS \(version == .v1_3 ? "1.3" : "1.2"), \(resumes ? "resuming" : "not resuming")"
        self.number = number
        self.broker = broker
        proxy = try TCPProxy(to: broker.mosquitto.port)
        numbers = JitterGenerator(seed: seed &+ UInt64(number))
        folder = try TemporaryDirectory()
        let identity = MQTTTLSConfiguration.Identity.files(
            certificate: folder.path + "/client.pem", key: folder.path + "/client.key")
        var tls = MQTTTLSConfiguration(
            trust: .file(try folder.write(broker.authority.certificatePEM, to: "authority.pem")), identity: identity)
        (tls.minimumVersion, tls.maximumVersion, tls.resumesSessions) = (version, version, resumes)
        var configuration = MQTTClientConfiguration(host: "localhost", port: proxy.port, tls: tls)
        configuration.clientID = "day-\(number)"
        // Each has one of TLS 1.2 and one of 1.3, one that resumes and one that does not.
        configuration.version = [0, 3].contains(number % 4) ? .v5_0 : .v3_1_1
        configuration.session = number % 2 == 0 ? .persistent : .clean
        configuration.credentials = credentials
        // Swift keeps a cancelled sleep until its deadline, and each request to a provider starts a sleep of this
        // length.
        configuration.timeouts.credentials = .seconds(1)
        configuration.retry = .hasty(seed: seed)
        client = MQTTClient(configuration, logger: .criticalOnly)
    }

    // MARK: The life of the lane

    func start() async throws {
        try showIdentity(of: broker.authority)
        let events = client.events()
        background.append(
            Task {
                for await event in events {
                    note(event.kind)
                    // Checks at once: the next attempt clears the queue before it begins.
                    if event.kind.isFailure { await lookForErrors() }
                }
            })
        try await client.start()
        background.append(
            Task { [client, number] in
                try await client.subscribe(to: MQTTSubscription("day/\(number)", qos: .exactlyOnce)) { messages in
                    for await _ in messages { noteMessage() }
                }
            })
        try await wait("to connect") { $0.isConnected }
    }

    /// Continues until this number of connections has been made.
    func run(until connections: Int) async throws {
        while tally.connections < connections {
            let happening = DayHappening.random(using: &numbers)
            tally.happenings[happening, default: 0] += 1
            let messages = (0..<Int.random(in: 0...4, using: &numbers)).map { _ in
                Message(
                    size: Int.random(in: 1...4_000, using: &numbers),
                    qos: MQTTQoS.allCases.randomElement(using: &numbers) ?? .atMostOnce)
            }
            let published = tally.published + messages.count
            // In progress while the fault happens.
            async let publishing: Void = publish(messages)
            try await perform(happening)
            try await wait("for acknowledgements after \(happening)") { $0.tally.published >= published }
            try await publishing
            if tally.connections >= nextReplacement { try replaceFiles() }
            await lookForErrors()
        }
    }

    func shutDown() async {
        try? await client.shutdown()
        for task in background { _ = await task.result }
    }

    private struct Message: Sendable {
        var size: Int
        var qos: MQTTQoS
    }

    private nonisolated func publish(_ messages: [Message]) async throws {
        for message in messages {
            try await client.publish(
                [UInt8](repeating: 0x61, count: message.size), to: "day/\(number)", qos: message.qos)
            await notePublished()
        }
    }

    // MARK: What is seen

    var isConnected: Bool { client.state.isConnected }

    private func note(_ event: MQTTConnectionEvent.Kind) {
        switch event {
        case .attemptStarted: tally.attempts += 1
        case .connected(let info):
            tally.connections += 1
            if info.tls?.resumed == true { tally.resumed += 1 }
        case .attemptFailed(let failed): tally.note(failed.error)
        case .disconnected(let lost): tally.note(lost.error)
        default: break
        }
    }

    private func notePublished() { tally.published += 1 }

    private func noteMessage() { tally.received += 1 }

    /// Checks the loop's thread and the current thread of Swift's pool.
    private func lookForErrors() async {
        if let error = await probe.oldestOpenSSLError { tally.leftBehind["the event loop: \(error)", default: 0] += 1 }
        if let error = OpenSSLErrors.oldest() { tally.leftBehind["Swift's pool: \(error)", default: 0] += 1 }
    }

    func wait(_ what: String, _ condition: @Sendable (isolated DayLane) -> Bool) async throws {
        if await eventually(timeout: .seconds(30), pollEvery: .milliseconds(1), { condition(self) }) { return }
        throw SoakFailure("\(name): waited \(what) for 30 s; \(client.state), \(tally)")
    }
}

extension MQTTConnectionEvent.Kind {
    fileprivate var isFailure: Bool {
        switch self {
        case .attemptFailed, .disconnected: true
        default: false
        }
    }
}
#endif

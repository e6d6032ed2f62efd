// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Synchronization

extension PromiseLane {
    /// AWS IoT closes the connection after a SUBSCRIBE with more than eight filters.
    static let nineFilters = PromiseLane(
        name: "nine-filters",
        statement:
            "Nine filters at a broker that closes for a SUBSCRIBE or UNSUBSCRIBE of more than eight: granted, and "
            + "restored after each reset within 10 s, without one close."
    ) { run in
        try await run.withBroker { broker in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for version in [MQTTVersion.v5_0, .v3_1_1] {
                    group.addTask { try await NineFilters(run, broker, version).run() }
                }
                try await group.waitForAll()
            }
        }
    }
}

/// One client with nine filters.
private final class NineFilters: Sendable {
    private let run: LaneRun
    private let broker: LaneBroker
    private let version: MQTTVersion
    private let received = Mutex(Set<String>())

    init(_ run: LaneRun, _ broker: LaneBroker, _ version: MQTTVersion) {
        (self.run, self.broker, self.version) = (run, broker, version)
    }

    private var topics: [String] { (0..<9).map { "nine/\(version == .v5_0 ? 5 : 3)/\($0)" } }

    func run() async throws {
        let version = version
        let subscribes = Tally()
        let filter: @Sendable ([UInt8]) -> TCPProxy.Verdict = { packet in
            guard let first = packet.first, first >> 4 == 8 || first >> 4 == 10 else { return .pass }
            if first >> 4 == 8 { subscribes.add() }
            return Self.filters(of: packet, version) > 8 ? .end([]) : .pass
        }
        let proxy = try TCPProxy(to: broker.plainPort, plan: .init(filter: filter))
        defer { proxy.stop() }
        let configuration = broker.configuration("nine-\(version)", port: proxy.port, version: version)
        try await run.withClient(configuration) { client, watch in
            let isSubscribed = Flag()
            let reading = Task { [self] in
                let filters = topics.map { MQTTSubscription($0, qos: .atLeastOnce) }
                try await client.subscribe(to: filters) { messages in
                    isSubscribed.raise()
                    for await message in messages { received.withLock { _ = $0.insert(message.topic) } }
                }
            }
            try await run.require(within: .seconds(20), "\(version): nine filters are granted") {
                isSubscribed.isRaised
            }
            try await run.withClient(broker.configuration("source-\(version)", port: broker.plainPort)) { source, _ in
                repeat { try await resetOnce(source, watch, proxy) } while run.hasTime
            }
            try run.require(
                proxy.rejections == 0, "\(version): no packet has more than eight filters; \(proxy.rejections) had")
            reading.cancel()
            _ = try? await reading.value
        }
        try run.require(proxy.rejections == 0, "\(version): no UNSUBSCRIBE has more than eight filters")
        run.count("packets SUBSCRIBE", subscribes.number)
    }

    private func resetOnce(_ source: MQTTClient, _ watch: ClientWatch, _ proxy: TCPProxy) async throws {
        let before = watch.connections
        proxy.end(.reset)
        try await run.require(within: .seconds(10) + run.slack, "\(version): connected after a reset") {
            watch.connections > before
        }
        received.withLock { $0 = [] }
        // A message that arrives before its filter is restored is not guaranteed: a clean session keeps no QoS 1
        // messages.
        let patience = .seconds(10) + run.slack
        let limit = ContinuousClock.now + patience
        while received.withLock({ $0.count }) < topics.count {
            if .now > limit {
                let missing = Set(topics).subtracting(received.withLock { $0 }).sorted()
                throw PromiseFailure("\(version): not restored within \(patience): \(missing)")
            }
            for topic in topics { try await source.publish("x", to: topic) }
            _ = await eventually(timeout: .milliseconds(100)) { received.withLock { $0.count } == topics.count }
        }
        run.count("times nine filters restored")
    }

    /// Returns the number of filters in a SUBSCRIBE or UNSUBSCRIBE packet (MQTT 5.0, sections 3.8 and 3.10).
    private static func filters(of packet: [UInt8], _ version: MQTTVersion) -> Int {
        var position = 1
        while position < packet.count, packet[position] & 0x80 != 0 { position += 1 }
        position += 3
        // The properties of these tests are shorter than 128 bytes.
        if version == .v5_0, position < packet.count { position += 1 + Int(packet[position]) }
        let options = packet[0] >> 4 == 8 ? 1 : 0
        var count = 0
        while position + 2 <= packet.count {
            position += 2 + Int(packet[position]) << 8 + Int(packet[position + 1]) + options
            count += 1
        }
        return count
    }
}

/// Counts, on any thread.
private final class Tally: Sendable {
    private let state = Atomic(0)

    var number: Int { state.load(ordering: .relaxed) }
    func add() { state.wrappingAdd(1, ordering: .relaxed) }
}

// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Synchronization

extension PromiseLane {
    /// A packet that makes the broker end connections fails alone, without other operations.
    static let poison = PromiseLane(
        name: "poison",
        statement:
            "A publish or a filter for which the broker closes fails with its topic named and its payload not; what is "
            + "published around it is acknowledged and comes, and so is what the broker refuses by a code told and nothing else."
    ) { run in
        let folder = try TemporaryDirectory()
        let rules = try folder.write(
            "topic readwrite good/#\ntopic readwrite poison/#\ntopic read denied/#\n", to: "rules")
        try await run.withBroker("acl_file \(rules)") { broker in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for (number, ending) in Poisoning.endings.enumerated() {
                    group.addTask { try await Poisoning(run, broker, number, ending).run() }
                }
                try await group.waitForAll()
            }
        }
        withExtendedLifetime(folder) {}
    }
}

/// One client of a broker that closes for certain topics.
private final class Poisoning: Sendable {
    struct Ending: Sendable {
        var version: MQTTVersion
        /// The DISCONNECT that comes first.
        var code: UInt8?

        var answer: [UInt8] { code.map { [0xE0, 1, $0] } ?? [] }
    }

    static let endings = [
        Ending(version: .v5_0), Ending(version: .v5_0, code: 0x81), Ending(version: .v5_0, code: 0x82),
        Ending(version: .v5_0, code: 0x87), Ending(version: .v3_1_1),
    ]

    private static let payload = "sealed"

    private let run: LaneRun
    private let broker: LaneBroker
    private let number: Int
    private let ending: Ending
    private let received = Mutex(Set<String>())

    init(_ run: LaneRun, _ broker: LaneBroker, _ number: Int, _ ending: Ending) {
        (self.run, self.broker, self.number, self.ending) = (run, broker, number, ending)
    }

    private var name: String {
        "\(ending.version) with \(ending.code.map { "DISCONNECT \($0)" } ?? "a close")"
    }

    func run() async throws {
        let answer = ending.answer
        let plan = TCPProxy.Plan(filter: { packet in Self.isPoison(packet) ? .end(answer) : .pass })
        let proxy = try TCPProxy(to: broker.plainPort, plan: plan)
        defer { proxy.stop() }
        var configuration = broker.configuration("poison-\(number)", port: proxy.port, version: ending.version)
        // A broker that discards the session also discards QoS 2 messages whose PUBREL it has not received.
        configuration.session = .persistent
        try await run.withClient(configuration) { client, _ in
            let isSubscribed = Flag()
            let reading = Task { [self] in
                let filter = MQTTSubscription("good/\(number)/#", qos: .exactlyOnce)
                try await client.subscribe(to: filter) { messages in
                    isSubscribed.raise()
                    for await message in messages { received.withLock { _ = $0.insert(message.payloadString) } }
                }
            }
            defer { reading.cancel() }
            try await run.require(within: .seconds(30), "\(name): subscribed") { isSubscribed.isRaised }
            var numbers = JitterGenerator(seed: run.seed &+ UInt64(number))
            var round = 0
            repeat {
                try await self.round(round, client, &numbers)
                round += 1
            } while run.hasTime
        }
        run.count("ends of a connection", proxy.rejections)
    }

    /// Returns true for a PUBLISH or a SUBSCRIBE whose topic begins with "poison/".
    private static func isPoison(_ packet: [UInt8]) -> Bool {
        guard let first = packet.first, first >> 4 == 3 || first >> 4 == 8 else { return false }
        return packet.prefix(64).firstRange(of: Array("poison/".utf8)) != nil
    }

    private func round(_ round: Int, _ client: MQTTClient, _ numbers: inout JitterGenerator) async throws {
        let isFilter = Int.random(in: 0..<4, using: &numbers) == 0
        let poison = "poison/\(number)/\(round)"
        let around = Int.random(in: 2...20, using: &numbers)
        let results = try await withThrowingTaskGroup(of: String?.self) { group in
            for index in 0..<around {
                let qos: MQTTQoS = Bool.random(using: &numbers) ? .atLeastOnce : .exactlyOnce
                group.addTask { [self] in
                    try await client.publish("\(round) \(index)", to: "good/\(number)/a", qos: qos)
                    return nil
                }
                guard index == around / 2 else { continue }
                group.addTask { try await Self.failure(of: poison, isFilter: isFilter, client) }
                group.addTask { [self] in try await refused(client) }
            }
            var results: [String] = []
            for try await result in group { if let result { results.append(result) } }
            return results
        }
        let text = results.first ?? ""
        try run.require(text.contains(poison), "\(name): the error names \(poison): \(text)")
        try run.require(!text.contains(Self.payload), "\(name): the error does not show the payload: \(text)")
        let expected = (0..<around).map { "\(round) \($0)" }
        try await run.require(within: .seconds(30), "\(name), around \(poison): all \(around) come") {
            received.withLock { $0.isSuperset(of: expected) }
        }
        received.withLock { $0 = [] }
        run.count(isFilter ? "poisonous filters" : "poisonous publishes")
        run.count("publishes around them", around)
    }

    /// Returns the error of a poisonous publish or subscription.
    private static func failure(of poison: String, isFilter: Bool, _ client: MQTTClient) async throws -> String {
        do {
            if isFilter {
                try await client.subscribe(to: MQTTSubscription(poison, qos: .atLeastOnce)) { _ in }
            } else {
                try await client.publish(payload, to: poison, qos: .atLeastOnce)
            }
        } catch let error as MQTTError where error.code != .stopped && error.code != .cancelled {
            return "\(error)"
        }
        throw PromiseFailure("\(poison) succeeded, though no broker takes it")
    }

    /// Publishes to a topic that the broker refuses with a reason code. With MQTT 5.0 the publish must throw; MQTT
    /// 3.1.1 has no such code. The connection must stay open.
    private func refused(_ client: MQTTClient) async throws -> String? {
        do {
            try await client.publish(Self.payload, to: "denied/\(number)", qos: .atLeastOnce)
            try run.require(ending.version == .v3_1_1, "\(name): a publish to denied/\(number) is refused")
        } catch let error as MQTTError where error.code == .operationRefused && error.reasonCode == .notAuthorized {
            run.count("refused publishes")
        }
        return nil
    }
}

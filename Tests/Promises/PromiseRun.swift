// SPDX-License-Identifier: Apache-2.0

package import Mosquitto
package import MosquittoTesting

/// The reason why a run has ended early, in a sentence.
package struct PromiseFailure: Error, CustomStringConvertible {
    package let description: String

    package init(_ description: String) { self.description = description }
}

/// Random publishes and subscriptions of several clients of a real mosquitto, through proxies that cut their connections.
///
/// A run consists of rounds. In each round, connections are cut while the clients publish; then the connections are
/// left intact, until all messages have been acknowledged and received.
package struct PromiseRun: Sendable {
    /// Counts since the start of the run.
    package struct Tally: Sendable {
        package var connections = 0
        package var attempts = 0
        package var newSessions = 0
        package var subscriptions = 0
        package var forwarded = RandomCuts.Statistics()
        package var messages: [MQTTQoS: PromiseLedger.Counts] = [:]
    }

    package var seed: UInt64
    /// `nil` for some clients of each.
    package var version: MQTTVersion?
    package var rounds: Int
    /// The part of each round in which connections are cut.
    package var cutting: Duration
    /// Maximum number of messages that each client publishes in a round.
    package var limit: Int?
    /// True for WebSockets over TLS and over plain TCP, in the place of both.
    package var webSockets = false
    /// True if connections are cut at all.
    package var cuts = true
    /// Number of cuts in each round for which the first part goes on, for a minute at most.
    package var leastCuts = 0
    /// Time limit for the second part of a round, in which connections are intact.
    package var healing: Duration = .seconds(60)

    package init(seed: UInt64, version: MQTTVersion?, rounds: Int, cutting: Duration, limit: Int? = nil) {
        self.seed = seed
        self.version = version
        self.rounds = rounds
        self.cutting = cutting
        self.limit = limit
    }

    static let topics = ["t/0/a", "t/0/b", "t/1/a", "t/1/b"]
    static let fleetingTopics = ["f/a", "f/b"]

    private var roles: [PromisePeer.Role] {
        func role(
            _ version: MQTTVersion, tls: Bool, _ session: MQTTSession, _ filters: [[MQTTSubscription]], fleeting: Bool
        ) -> PromisePeer.Role {
            PromisePeer.Role(
                version: self.version ?? version, isTLS: tls, session: session, filters: filters,
                fleeting: fleeting ? "f/+" : nil)
        }
        func filter(_ filter: MQTTTopicFilter, _ qos: MQTTQoS) -> MQTTSubscription {
            MQTTSubscription(filter, qos: qos)
        }
        let kept = MQTTSession.persistent(expiry: .seconds(3_600))
        var roles = [
            role(.v5_0, tls: true, kept, [[filter("t/#", .exactlyOnce)]], fleeting: true),
            role(
                .v3_1_1, tls: false, kept, [[filter("t/+/a", .exactlyOnce)], [filter("t/+/b", .exactlyOnce)]],
                fleeting: true),
            role(
                .v3_1_1, tls: true, kept, [[filter("t/0/#", .exactlyOnce), filter("t/1/#", .atLeastOnce)]],
                fleeting: false),
            role(.v5_0, tls: false, kept, [[filter("t/#", .atLeastOnce)]], fleeting: false),
            role(.v5_0, tls: true, .clean, [], fleeting: true),
            role(.v3_1_1, tls: false, .clean, [], fleeting: true),
        ]
        // Small windows, which are full most of the time.
        (roles[2].maximumInFlight, roles[3].receiveMaximum) = (5, 7)
        return roles
    }

    /// Throws ``PromiseFailure`` with the first violated guarantee. `afterRound` is called when nothing is in progress.
    @discardableResult
    package func run(
        onBroker: (LocalMosquitto) -> Void = { _ in },
        afterRound: (_ round: Int, Tally) async throws -> Void = { _, _ in }
    ) async throws -> Tally {
        let authority = try TestCertificateAuthority()
        let (broker, plainPort) = try await startPromiseBroker(
            authority,
            """
            log_type none
            log_type information
            """, webSockets: webSockets)
        onBroker(broker)
        let proxies = try RandomCuts(before: [broker.port, plainPort], seed: seed)
        defer { proxies.stop() }
        let (peers, ledger) = peers(proxies, authority)
        var failure: (any Error)?
        var tally = Tally()
        do {
            for peer in peers { try await peer.start() }
            for round in 0..<rounds {
                try await run(round, peers, ledger, proxies)
                tally = self.tally(peers, ledger, proxies)
                try await afterRound(round, tally)
            }
        } catch { failure = error }
        for peer in peers { await peer.shutDown() }
        await broker.terminate()
        if let failure { throw failure }
        if let violation = ledger.violation { throw PromiseFailure("seed \(seed): \(violation)") }
        return tally
    }

    private func run(
        _ round: Int, _ peers: [PromisePeer], _ ledger: PromiseLedger, _ proxies: RandomCuts
    ) async throws {
        ledger.beginRound(round)
        let cutBefore = proxies.statistics.cuts
        if cuts { proxies.begin() }
        for (number, peer) in peers.enumerated() {
            peer.beginRound(seed: seed &+ UInt64(round) << 32 &+ UInt64(number), limit: limit)
        }
        _ = await eventually(timeout: cutting, pollEvery: .milliseconds(20)) { ledger.violation != nil }
        _ = await eventually(timeout: .seconds(60), pollEvery: .milliseconds(20)) {
            ledger.violation != nil || proxies.statistics.cuts - cutBefore >= leastCuts
        }
        proxies.pause()
        for peer in peers { await peer.endRound() }
        let isDone = await eventually(timeout: healing) {
            ledger.violation != nil || peers.allSatisfy { $0.waiting == 0 } && ledger.missing() == nil
        }
        var failure = ledger.violation
        if failure == nil, !isDone {
            let waiting = peers.filter { $0.waiting > 0 }.map { "\($0.description), waits for \($0.waiting) answers" }
            failure = (waiting + [ledger.missing() ?? "all has come"]).joined(separator: "; ")
        }
        guard let failure else { return }
        // The others get their copies of it.
        _ = await eventually(timeout: .seconds(1)) { peers.allSatisfy { $0.waiting == 0 } && ledger.missing() == nil }
        let evidence = ledger.evidence.map { "; " + $0 } ?? ""
        throw PromiseFailure("seed \(seed), round \(round): \(failure)\(evidence)")
    }

    private func peers(
        _ proxies: RandomCuts, _ authority: TestCertificateAuthority
    ) -> ([PromisePeer], PromiseLedger) {
        let roles = roles
        var consumers: [PromiseLedger.Consumer] = []
        var firsts: [Int] = []
        for (number, role) in roles.enumerated() {
            firsts.append(consumers.count)
            consumers += role.filters.enumerated().map { index, filters in
                // mosquitto does not keep the order when a client's window is full, see run().
                PromiseLedger.Consumer(
                    "subscription \(index) of peer \(number)", filters, isStable: true,
                    isOrdered: role.receiveMaximum == .max)
            }
            if let fleeting = role.fleeting {
                let subscription = MQTTSubscription(fleeting, qos: .exactlyOnce)
                consumers.append(
                    .init(
                        "the fleeting subscription of peer \(number)", [subscription], isStable: false, isOrdered: false
                    ))
            }
        }
        let clean = roles.indices.filter { roles[$0].session == .clean }
        let ledger = PromiseLedger(consumers: consumers, cleanPublishers: Set(clean))
        let peers = roles.enumerated().map { number, role in
            PromisePeer(
                number, role, topics: Self.topics + Self.fleetingTopics,
                configuration: configuration(number, role, proxies, authority), ledger: ledger,
                firstConsumer: firsts[number])
        }
        return (peers, ledger)
    }

    private func configuration(
        _ number: Int, _ role: PromisePeer.Role, _ proxies: RandomCuts, _ authority: TestCertificateAuthority
    ) -> MQTTClientConfiguration {
        var configuration = MQTTClientConfiguration(
            host: "localhost", port: proxies.ports[role.isTLS ? 0 : 1],
            tls: role.isTLS ? MQTTTLSConfiguration(trust: .pem(authority.certificatePEM)) : nil)
        if webSockets {
            let port = configuration.endpoints[0].port
            configuration.endpoints = [
                role.isTLS
                    ? .secureWebSocket(host: "localhost", port: port) : .webSocket(host: "localhost", port: port)
            ]
        }
        configuration.clientID = "peer-\(number)"
        configuration.version = role.version
        configuration.session = role.session
        configuration.publishing.maximumInFlight = role.maximumInFlight
        configuration.receiving.receiveMaximum = role.receiveMaximum
        configuration.retry = .hasty(seed: seed)
        return configuration
    }

    private func tally(_ peers: [PromisePeer], _ ledger: PromiseLedger, _ proxies: RandomCuts) -> Tally {
        var tally = Tally(forwarded: proxies.statistics, messages: ledger.counts)
        for peer in peers.map(\.counts) {
            tally.connections += peer.connections
            tally.attempts += peer.attempts
            tally.newSessions += peer.newSessions
            tally.subscriptions += peer.subscriptions
        }
        return tally
    }
}

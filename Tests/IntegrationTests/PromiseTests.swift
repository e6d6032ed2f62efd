// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import Promises
import Testing
import Turns

/// The short form of `scripts/soak promises`.
@Suite("Connections cut at random bytes", .turn(.brokers), .serialized, .timeLimit(.minutes(2)))
struct PromiseTests {
    @Test(arguments: [MQTTVersion.v3_1_1, .v5_0])
    func `QoS 1 comes at least once, QoS 2 exactly once, and their order is kept`(version: MQTTVersion) async throws {
        var run = PromiseRun(seed: 1, version: version, rounds: 2, cutting: .seconds(2))
        run.leastCuts = 20
        let tally = try await run.run()
        #expect(tally.forwarded.cuts >= 40)
        #expect(tally.connections > 20)
        for qos in [MQTTQoS.atLeastOnce, .exactlyOnce] {
            let counts = try #require(tally.messages[qos])
            #expect(counts.acknowledged > 100)
        }
    }

    @Test func `the same holds over WebSockets`() async throws {
        var run = PromiseRun(seed: 2, version: nil, rounds: 2, cutting: .seconds(2))
        run.webSockets = true
        run.leastCuts = 20
        let tally = try await run.run()
        #expect(tally.forwarded.cuts >= 40 && tally.connections > 20, "\(tally)")
        for qos in [MQTTQoS.atLeastOnce, .exactlyOnce] {
            #expect(try #require(tally.messages[qos]).acknowledged > 100)
        }
    }

    @Test(arguments: PromiseLane.all)
    func `every lane is kept`(lane: PromiseLane) async throws {
        let counts = try await lane.run(seed: 1, duration: .seconds(2), slack: .seconds(5))
        #expect(!counts.isEmpty && counts.allSatisfy { $0.number > 0 }, "\(counts)")
    }

    @Test func `the check sees what is lost, comes twice, comes late, or was never published`() {
        let subscription = MQTTSubscription("t/#", qos: .exactlyOnce)
        func ledger() -> PromiseLedger {
            let ledger = PromiseLedger(
                consumers: [.init("it", [subscription], isStable: true, isOrdered: true)], cleanPublishers: [])
            ledger.beginRound(0)
            return ledger
        }
        func message(_ stamp: Stamp, topic: String = "t/a") -> MQTTMessage {
            MQTTMessage(topic: topic, payload: stamp.payload(padding: 10), qos: stamp.series.qos)
        }
        let once = Series(publisher: 0, topic: "t/a", qos: .exactlyOnce)
        let least = Series(publisher: 0, topic: "t/a", qos: .atLeastOnce)

        let lossy = ledger()
        _ = lossy.issue(once)
        #expect(lossy.missing() != nil)

        let repeating = ledger()
        let (first, second) = (repeating.issue(least), repeating.issue(once))
        for stamp in [first, first, second] { repeating.received(message(stamp), by: 0) }
        #expect(repeating.violation == nil && repeating.missing() == nil)
        repeating.received(message(second), by: 0)
        #expect(repeating.violation?.contains("twice") == true)

        let disordered = ledger()
        let stamps = [disordered.issue(least), disordered.issue(least)]
        for stamp in stamps.reversed() { disordered.received(message(stamp), by: 0) }
        #expect(disordered.violation?.contains("after") == true)

        let late = ledger()
        let old = late.issue(once)
        late.received(message(old), by: 0)
        late.beginRound(1)
        late.received(message(old), by: 0)
        #expect(late.violation != nil)

        let strange = ledger()
        strange.received(message(strange.issue(once), topic: "t/b"), by: 0)
        #expect(strange.violation != nil)
    }
}

// SPDX-License-Identifier: Apache-2.0

import Promises
import Testing
import Turns

/// The short form of `scripts/soak cluster`, with the nats-server of PyPI: that of Debian 12 loses messages.
@Suite("A cluster whose nodes fail", .turn(.brokers), .serialized, .timeLimit(.minutes(4)))
struct ClusterTests {
    @Test(
        .enabled(
            if: BrokerCluster.Kind.nats.isInstalled, "nats-server is not installed: scripts/setup --brokers does it"))
    func `three nodes of NATS, one killed and one stopped: nothing is lost, and no client stops`() async throws {
        let cluster = try await BrokerCluster.start(.nats)
        defer { cluster.stop() }
        var faults = ClusterFaults(seed: 1)
        faults.kinds = [.killed, .stopped]
        (faults.period, faults.outage) = (.seconds(9), .seconds(8))
        var run = ClusterRun(faults: faults)
        (run.publishers, run.subscribers, run.rate) = (2, 2, 10)
        // Before the first fault: a client that comes back has a fresh token.
        run.rotationPeriod = .seconds(4)
        let report = try await run.run(on: cluster, for: .seconds(10))
        #expect(report.violation == nil)
        #expect(report.lost == 0)
        #expect(report.stopped == [])
        #expect(report.acknowledged == report.published && report.published > 100)
        let figures = report.figures.values
        #expect(figures.reduce(0) { $0 + $1.rotations } > 0)
        #expect(figures.reduce(0) { $0 + $1.gapCount } > 0)
    }
}

// SPDX-License-Identifier: Apache-2.0

import Mosquitto

/// A fault of one node of a cluster.
package enum ClusterFault: String, Sendable, Hashable, CaseIterable, CustomStringConvertible {
    /// SIGKILL: connections are reset, and nothing is saved.
    case killed
    /// SIGSTOP: connections stay open, without answers.
    case stopped
    /// The node sends its clients away, as before its maintenance.
    case drained

    package var description: String {
        switch self {
        case .killed: "killed (-9)"
        case .stopped: "stopped (SIGSTOP)"
        case .drained: "drained"
        }
    }
}

/// Faults of the nodes of a cluster, one node at a time and each kind in turn.
package struct ClusterFaults: Sendable {
    /// The time from the beginning of a fault to that of the next one, which is longer if the node takes longer to return.
    package var period = Duration.seconds(20)
    /// The time from the beginning of a fault until the node is restored.
    package var outage = Duration.seconds(10)
    package var kinds = ClusterFault.allCases
    /// Chooses the nodes.
    package var seed: UInt64

    package init(seed: UInt64) { self.seed = seed }

    /// Runs faults until the end, and returns when all nodes accept clients. `onFault` is called at the beginning of each
    /// fault, with the node's number.
    package func run(
        on cluster: BrokerCluster, until end: ContinuousClock.Instant,
        onFault: @Sendable (ClusterFault, _ node: Int) -> Void
    ) async throws {
        var numbers = JitterGenerator(seed: seed)
        var turn = 0
        while ContinuousClock.now < end, let node = cluster.nodes.randomElement(using: &numbers) {
            let start = ContinuousClock.now
            let fault = kinds[turn % kinds.count]
            turn += 1
            onFault(fault, node.number)
            switch fault {
            case .killed: cluster.kill(node)
            case .stopped: cluster.suspend(node)
            case .drained: try await cluster.drain(node)
            }
            try await Task.sleep(until: start + outage)
            try await cluster.restore(node, after: fault)
            try await Task.sleep(until: max(.now, start + period))
        }
    }
}

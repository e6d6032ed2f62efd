// SPDX-License-Identifier: Apache-2.0

import HeapModule
import Mosquitto

/// Clients that lose the same broker at the same moment, and the capacity of that broker on its return. Time is
/// virtual: the connections are reset at zero.
struct Scenario: Sendable {
    var clients = 100_000
    /// The time for which the broker refuses every connection at once.
    var outage = Duration.seconds(60)
    /// Number of CONNECTs that the broker accepts in each second; `nil` for all. The broker refuses the others at once.
    var capacity: Int? = 5_000
    var seed: UInt64 = 1

    /// Simulates the scenario until the last client has reconnected. Each client has its own seed.
    func simulate<Client: SimulatedClient>(_ makeClient: (UInt64) -> Client) -> Outcome {
        var seeds = JitterGenerator(seed: seed)
        var clients = (0..<self.clients).map { _ in makeClient(seeds.next()) }
        var broker = SimulatedBroker(outage: outage, capacity: capacity)
        var outcome = Outcome(outage: outage)
        var wakes = Heap<Wake>()

        func follow(_ first: SimulatedStep, client: Int, now: Duration) {
            var step = first
            while true {
                switch step {
                case .sleep(let delay):
                    wakes.insert(Wake(time: now + delay, client: client))
                    return
                case .dial:
                    let isAccepted = broker.accepts(at: now)
                    outcome.record(arrivalAt: now, isAccepted: isAccepted)
                    if isAccepted { return }
                    step = clients[client].refused(at: now)
                case .stop:
                    return
                }
            }
        }

        for client in clients.indices { follow(clients[client].connectionLost(at: .zero), client: client, now: .zero) }
        while let wake = wakes.popMin() {
            follow(clients[wake.client].wake(at: wake.time), client: wake.client, now: wake.time)
        }
        return outcome
    }
}

/// Ordered by time, then by client, so that a run can be repeated.
private struct Wake: Comparable {
    var time: Duration
    var client: Int

    static func < (left: Wake, right: Wake) -> Bool {
        left.time == right.time ? left.client < right.client : left.time < right.time
    }
}

/// A broker that is unavailable during the outage, and then accepts CONNECTs up to its capacity in each second.
struct SimulatedBroker {
    private let outage: Duration
    private let capacity: Int?
    private var second = 0
    private var acceptedInSecond = 0

    init(outage: Duration, capacity: Int?) {
        self.outage = outage
        self.capacity = capacity
    }

    /// Returns true if the broker accepts a CONNECT at this time. Times must not decrease.
    mutating func accepts(at time: Duration) -> Bool {
        guard time >= outage else { return false }
        guard let capacity else { return true }
        if second != time.wholeSeconds {
            second = time.wholeSeconds
            acceptedInSecond = 0
        }
        guard acceptedInSecond < capacity else { return false }
        acceptedInSecond += 1
        return true
    }
}

extension Duration {
    var wholeSeconds: Int { Int(components.seconds) }
    var inSeconds: Double { self / .seconds(1) }
}

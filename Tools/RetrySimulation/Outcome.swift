// SPDX-License-Identifier: Apache-2.0

/// The CONNECTs that a broker received from its clients.
struct Outcome: Sendable, Equatable {
    private let outage: Duration
    /// CONNECTs in each second since the loss, accepted or not.
    private(set) var arrivals: [Int] = []
    /// Time from the broker's return to each client's reconnect, in ascending order.
    private(set) var recoveries: [Duration] = []

    init(outage: Duration) { self.outage = outage }

    /// Records a CONNECT. Times must not decrease.
    mutating func record(arrivalAt time: Duration, isAccepted: Bool) {
        let second = time.wholeSeconds
        while arrivals.count <= second { arrivals.append(0) }
        arrivals[second] += 1
        if isAccepted { recoveries.append(time - outage) }
    }

    /// CONNECTs in each second since the broker's return.
    private var arrivalsAfterOutage: ArraySlice<Int> { arrivals.dropFirst(outage.wholeSeconds) }

    /// The CONNECTs in the busiest second since the broker's return.
    var peak: Int { busiest(seconds: 1) }

    /// Returns the CONNECTs in the busiest period of `seconds` since the broker's return.
    func busiest(seconds: Int) -> Int {
        let arrivals = arrivalsAfterOutage
        return arrivals.indices.map { arrivals[$0..<min($0 + seconds, arrivals.endIndex)].reduce(0, +) }.max() ?? 0
    }

    /// Returns the time by which this part of the clients had reconnected, by nearest rank; zero without clients.
    func recovery(of part: Double) -> Duration {
        guard !recoveries.isEmpty else { return .zero }
        let rank = Int((part * Double(recoveries.count)).rounded(.up))
        return recoveries[min(max(rank, 1), recoveries.count) - 1]
    }

    /// The time at which the last client had reconnected.
    var fullRecovery: Duration { recovery(of: 1) }
}

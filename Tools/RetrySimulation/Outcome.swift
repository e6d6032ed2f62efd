/// What a broker saw of its clients.
struct Outcome: Sendable, Equatable {
    private let outage: Duration
    /// CONNECTs in each second since the loss, accepted or not.
    private(set) var arrivals: [Int] = []
    /// How long after the broker each client was back, in order.
    private(set) var recoveries: [Duration] = []

    init(outage: Duration) { self.outage = outage }

    /// Times must not go back.
    mutating func record(arrivalAt time: Duration, isAccepted: Bool) {
        let second = time.wholeSeconds
        while arrivals.count <= second { arrivals.append(0) }
        arrivals[second] += 1
        if isAccepted { recoveries.append(time - outage) }
    }

    /// CONNECTs in each second since the broker is back.
    private var arrivalsAfterOutage: ArraySlice<Int> { arrivals.dropFirst(outage.wholeSeconds) }

    /// The CONNECTs in the busiest second since the broker is back.
    var peak: Int { busiest(seconds: 1) }

    /// The CONNECTs in the busiest so many seconds in a row since the broker is back.
    func busiest(seconds: Int) -> Int {
        let arrivals = arrivalsAfterOutage
        return arrivals.indices.map { arrivals[$0..<min($0 + seconds, arrivals.endIndex)].reduce(0, +) }.max() ?? 0
    }

    /// When this part of the clients was back, the nearest rank; zero without clients.
    func recovery(of part: Double) -> Duration {
        guard !recoveries.isEmpty else { return .zero }
        let rank = Int((part * Double(recoveries.count)).rounded(.up))
        return recoveries[min(max(rank, 1), recoveries.count) - 1]
    }

    /// When the last client was back.
    var fullRecovery: Duration { recovery(of: 1) }
}

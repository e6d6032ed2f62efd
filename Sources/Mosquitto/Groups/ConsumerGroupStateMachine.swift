// SPDX-License-Identifier: Apache-2.0

/// Decides which members of a consumer group begin, leave and stop. A value without clients and tasks: events in,
/// actions out.
struct ConsumerGroupStateMachine {
    enum Action: Equatable {
        /// Begin a member.
        case start(Int)
        /// Make a member leave: it unsubscribes, handles what is left, and ends its session.
        case leave(Int)
        /// End the sequence of a member after the messages received so far. Its session stays.
        case retire(Int)
        /// All members have ended, and so does the group.
        case finish
    }

    enum MemberPhase: Equatable {
        /// Waits for the broker to grant the subscription.
        case joining
        case consuming
        case leaving
        /// Ends with the group.
        case stopping
    }

    private enum Phase { case idle, running, ending, ended }

    /// Number of members that the group should have.
    private(set) var target: Int
    /// The members that have begun and not ended.
    private(set) var members: [Int: MemberPhase] = [:]
    /// The error that ended the group.
    private(set) var failure: (any Error)?
    /// The error of a member that could not leave, until ``takeLeavingError()``.
    private var leavingError: (any Error)?
    /// Members whose body has returned by itself. They do not begin again.
    private var finished: Set<Int> = []
    private var phase = Phase.idle

    init(target: Int) { self.target = target }

    var isIdle: Bool { phase == .idle }
    var hasEnded: Bool { phase == .ended }

    /// True while the group has begun neither to end nor to change, and all its members consume.
    var isSettled: Bool {
        phase == .running
            && members.allSatisfy { $0.key < target && $0.value == .consuming }
            && members.count + finished.count { $0 < target } == target
    }

    /// Begins the group. Returns nothing at a second call.
    mutating func start() -> [Action] {
        guard phase == .idle else { return [] }
        phase = .running
        return adjust()
    }

    /// Changes the number of members.
    mutating func scale(to count: Int) -> [Action] {
        target = count
        return phase == .running ? adjust() : []
    }

    /// Records that the broker has granted a member's subscription.
    mutating func joined(_ index: Int) {
        if members[index] == .joining { members[index] = .consuming }
    }

    /// Records the end of a member, with its error.
    mutating func ended(_ index: Int, _ error: (any Error)? = nil) -> [Action] {
        guard let last = members.removeValue(forKey: index) else { return [] }
        switch (phase, error) {
        case (.running, let error?) where last != .leaving:
            failure = error
            return shutDown()
        case (.running, let error):
            if last == .leaving { leavingError = leavingError ?? error } else { finished.insert(index) }
            // A body that returns by itself ends its member; the last one ends the group.
            if members.isEmpty, target > 0, (0..<target).allSatisfy(finished.contains) {
                failure = takeLeavingError()
                return shutDown()
            }
            return adjust()
        case (.ending, let error):
            failure = failure ?? error
            return finishIfEmpty()
        case (.idle, _), (.ended, _): return []
        }
    }

    /// Ends the group after the messages that its members have received.
    mutating func shutDown() -> [Action] {
        guard phase == .running || phase == .idle else { return [] }
        phase = .ending
        let indices = members.keys.sorted()
        for index in indices { members[index] = .stopping }
        return indices.map { .retire($0) } + finishIfEmpty()
    }

    /// Records that the group's task was cancelled, and all members with it.
    mutating func cancelled() {
        members = [:]
        phase = .ended
    }

    /// Returns the error of a member that could not leave, once.
    mutating func takeLeavingError() -> (any Error)? {
        defer { leavingError = nil }
        return leavingError
    }

    private mutating func adjust() -> [Action] {
        var actions: [Action] = []
        for index in 0..<target where members[index] == nil && !finished.contains(index) {
            members[index] = .joining
            actions.append(.start(index))
        }
        for index in members.keys.sorted() where index >= target && members[index] != .leaving {
            members[index] = .leaving
            actions.append(.leave(index))
        }
        finished = finished.filter { $0 < target }
        return actions
    }

    private mutating func finishIfEmpty() -> [Action] {
        guard members.isEmpty else { return [] }
        phase = .ended
        return [.finish]
    }
}

// SPDX-License-Identifier: Apache-2.0

/// The turns of all tests of this process.
enum Turns {
    static let groups = GroupTurns()
    static let tests = Permits()
    static let cases = Permits()

    /// True in the tasks of a suite whose group has its turn.
    @TaskLocal static var hasTurn = false
}

/// Lets the suites of one group run at a time.
actor GroupTurns {
    private var current: TestGroup?
    private var suites = 0
    private var waiting: [(group: TestGroup, suite: CheckedContinuation<Void, Never>)] = []

    func with(_ group: TestGroup, _ body: @Sendable () async throws -> Void) async throws {
        await begin(group)
        defer { end() }
        try await Turns.$hasTurn.withValue(true) { try await body() }
    }

    private func begin(_ group: TestGroup) async {
        if current == nil { current = group }
        if current == group {
            suites += 1
        } else {
            await withCheckedContinuation { waiting.append((group, $0)) }
        }
    }

    private func end() {
        suites -= 1
        guard suites == 0 else { return }
        current = waiting.map(\.group).min { $0.rawValue < $1.rawValue }
        let next = waiting.filter { $0.group == current }
        waiting.removeAll { $0.group == current }
        suites = next.count
        for (_, suite) in next { suite.resume() }
    }
}

/// Limits how many run at a time.
actor Permits {
    private var taken = 0
    private var waiting: [CheckedContinuation<Void, Never>] = []

    func with(limit: Int, _ body: @Sendable () async throws -> Void) async throws {
        if taken < limit {
            taken += 1
        } else {
            // Passed on by one that ends.
            await withCheckedContinuation { waiting.append($0) }
        }
        defer { pass() }
        try await body()
    }

    private func pass() {
        if waiting.isEmpty { taken -= 1 } else { waiting.removeFirst().resume() }
    }
}

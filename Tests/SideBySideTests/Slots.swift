// SPDX-License-Identifier: Apache-2.0

/// Limits the rows that run at a time: each row has two processes and two brokers.
actor Slots {
    static let shared = Slots(count: 4)

    private var free: Int
    private var waiting: [CheckedContinuation<Void, Never>] = []

    init(count: Int) { free = count }

    func run<R: Sendable>(_ body: @Sendable () async throws -> R) async rethrows -> R {
        if free > 0 { free -= 1 } else { await withCheckedContinuation { waiting.append($0) } }
        defer { leave() }
        return try await body()
    }

    private func leave() {
        if waiting.isEmpty { free += 1 } else { waiting.removeFirst().resume() }
    }
}

// SPDX-License-Identifier: Apache-2.0

/// Time since the first message of the process. Unlike an instant, it has a size known to the compiler; with an
/// instant, the layout of every message would be computed at run time.
struct Uptime {
    private let passed: Duration
    private static let origin = ContinuousClock.now

    static var now: Uptime { Uptime(passed: origin.duration(to: .now)) }

    func duration(to other: Uptime) -> Duration { other.passed - passed }
}

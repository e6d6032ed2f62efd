/// Time since the process had its first message: of a known size, unlike an instant, whose size the compiler does not
/// know and which would make the layout of every message a matter of run time.
struct Uptime {
    private let passed: Duration
    private static let origin = ContinuousClock.now

    static var now: Uptime { Uptime(passed: origin.duration(to: .now)) }

    func duration(to other: Uptime) -> Duration { other.passed - passed }
}

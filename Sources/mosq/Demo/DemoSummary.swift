/// What a demo has shown.
struct DemoSummary: Sendable {
    var attempts = 0
    var failures = 0
    var gaps: [Duration] = []
    var sent = 0
    var received = 0
    var lost = 0
    /// What should have been seen and was not.
    var missing: String?
}

// SPDX-License-Identifier: Apache-2.0

/// The results of a demo.
struct DemoSummary: Sendable {
    var attempts = 0
    var failures = 0
    var gaps: [Duration] = []
    var sent = 0
    var received = 0
    var lost = 0
    /// The event that the demo should have shown and did not; `nil` if nothing is missing.
    var missing: String?
}

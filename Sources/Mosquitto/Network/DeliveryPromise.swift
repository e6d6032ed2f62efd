// SPDX-License-Identifier: Apache-2.0

/// The bytes that a shutdown waits for, and their progress.
struct DeliveryPromise {
    /// The end of the marked bytes, counted from the beginning of the connection.
    var end = 0
    /// Number of bytes that had left this machine at the last check.
    private var lastDelivered = 0

    private static let leastProgress = 4_096

    /// Returns true if marked bytes have left this machine since the last check: the last of them, or enough to show
    /// progress.
    mutating func hasMoved(_ delivered: Int) -> Bool {
        let before = lastDelivered
        lastDelivered = delivered
        guard before < end else { return false }
        return delivered - before >= (delivered >= end ? 1 : Self.leastProgress)
    }
}

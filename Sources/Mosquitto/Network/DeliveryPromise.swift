/// The bytes that the end of a connection waits for, and whether they move.
struct DeliveryPromise {
    /// The end of the promised bytes, counted from the beginning of the connection.
    var end = 0
    /// The number of bytes that had left this machine at the last look.
    private var lastDelivered = 0

    private static let leastProgress = 4_096

    /// Returns whether promised bytes have left this machine since the last look: the last of them, or enough of them
    /// for a connection that does not stand still.
    mutating func hasMoved(_ delivered: Int) -> Bool {
        let before = lastDelivered
        lastDelivered = delivered
        guard before < end else { return false }
        return delivered - before >= (delivered >= end ? 1 : Self.leastProgress)
    }
}

// SPDX-License-Identifier: Apache-2.0

/// Calls that wait for the answer to a PINGREQ of their own. A PINGRESP names no request, so the answers of a
/// connection are counted, including those to the keep-alive. A value without a connection.
struct PingBarriers {
    private var sent = 0
    private var answered = 0
    /// In the order of their requests.
    private var waiting: [(number: Int, caller: WaiterID)] = []

    /// Records a PINGREQ, of the keep-alive or of a call.
    mutating func pinged(for caller: WaiterID? = nil) {
        sent += 1
        if let caller { waiting.append((sent, caller)) }
    }

    /// Records a PINGRESP. Returns the calls whose requests are answered.
    mutating func answer() -> [WaiterID] {
        // One without a request is the broker's mistake.
        answered = min(answered + 1, sent)
        let count = waiting.prefix { $0.number <= answered }.count
        defer { waiting.removeFirst(count) }
        return waiting.prefix(count).map(\.caller)
    }

    /// Records the end of the connection. Returns the calls whose requests have no answer.
    mutating func connectionEnded() -> [WaiterID] {
        defer { self = PingBarriers() }
        return waiting.map(\.caller)
    }

    mutating func cancel(_ caller: WaiterID) { waiting.removeAll { $0.caller == caller } }
}

// SPDX-License-Identifier: Apache-2.0

import UnixSignals

#if canImport(Darwin)
import Darwin
#elseif canImport(Musl)
import Musl
#else
import Glibc
#endif

/// Signals that end a command with a DISCONNECT, trapped from the initializer on.
struct TrappedSignals: Sendable {
    private let sequence: UnixSignalsSequence
    private let signals: [UnixSignal]

    /// Traps the signals with which a user or a supervisor ends a command: SIGINT and SIGTERM.
    init() async { await self.init([.sigint, .sigterm]) }

    init(_ signals: [UnixSignal]) async {
        self.signals = signals
        sequence = await UnixSignalsSequence(trapping: signals)
    }

    /// Waits for the first signal. Returns `nil` if the task is cancelled first.
    func first() async -> UnixSignal? {
        for await received in sequence {
            // A second signal ends the process at once, even if a graceful end is stuck.
            for trapped in signals { signal(trapped.rawValue, SIG_DFL) }
            return received
        }
        return nil
    }
}

extension CommandBehavior {
    /// The signals that mosquitto's command handles. SIGINT and SIGTERM kill a publisher, which may leave messages
    /// unpublished, and a `mosquitto_rr` that waits for its response.
    var signals: [UnixSignal] {
        switch self {
        case .publish, .publishLines: []
        case .subscribe: [.sigint, .sigterm, .sigalrm]
        case .request: [.sigalrm]
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

import Configuration
import Synchronization

/// A record of the keys that were read, and of the values that were reported as secrets.
final class Reports: AccessReporter {
    private struct State {
        var keys: Set<String> = []
        var secrets: Set<String> = []
        var others: Set<String> = []
    }

    private let state = Mutex(State())

    /// All keys that were read, with or without a value.
    var keys: Set<String> { state.withLock { $0.keys } }

    /// The keys whose value was always reported as a secret.
    var secrets: Set<String> { state.withLock { $0.secrets.subtracting($0.others) } }

    func report(_ event: AccessEvent) {
        let value = try? event.result.get()
        state.withLock { state in
            let key = event.metadata.key.description
            state.keys.insert(key)
            if let value {
                if value.isSecret { state.secrets.insert(key) } else { state.others.insert(key) }
            }
        }
    }
}

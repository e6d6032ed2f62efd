import Configuration
import Synchronization

/// Which keys were read, and which values were given as secrets.
final class Reports: AccessReporter {
    private struct State {
        var keys: Set<String> = []
        var secrets: Set<String> = []
        var others: Set<String> = []
    }

    private let state = Mutex(State())

    /// All, whether there was a value or not.
    var keys: Set<String> { state.withLock { $0.keys } }

    /// Those whose value never was given as anything else.
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

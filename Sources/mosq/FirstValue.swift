import Synchronization

/// A value that is set once, by whoever comes first.
final class FirstValue<Value: Sendable>: Sendable {
    private let state = Mutex<Value?>(nil)

    var value: Value? { state.withLock { $0 } }

    func set(_ value: Value) { state.withLock { $0 = $0 ?? value } }
}

import Mosquitto
import Synchronization

/// Gives another user name each time, so that every rotation has something new; or one that the broker does not know.
final class DayCredentials: MQTTCredentialProvider {
    private let state = Mutex((asked: 0, isUnknown: false))

    var isUnknown: Bool {
        get { state.withLock { $0.isUnknown } }
        set { state.withLock { $0.isUnknown = newValue } }
    }

    func credentials(for attempt: MQTTConnectAttempt) async throws -> MQTTCredentials {
        let user = state.withLock { state in
            state.asked += 1
            return state.isUnknown ? "nobody-\(state.asked)" : DayBroker.users[state.asked % DayBroker.users.count]
        }
        return MQTTCredentials(username: user, password: MQTTSecret(DayBroker.password))
    }
}

// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import Synchronization

/// Returns another user name each time, so that every rotation has new credentials; on request, one that the broker
/// does not accept.
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

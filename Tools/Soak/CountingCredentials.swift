// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import Synchronization

/// Returns new credentials each time, always of the same length.
final class CountingCredentials: MQTTCredentialProvider {
    private let asked = Mutex(100_000)

    func credentials(for attempt: MQTTConnectAttempt) async throws -> MQTTCredentials {
        let number = asked.withLock { asked in
            asked += 1
            return asked
        }
        return MQTTCredentials(username: "soak", password: MQTTSecret("\(number)"))
    }
}

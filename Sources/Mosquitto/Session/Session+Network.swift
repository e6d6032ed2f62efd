// SPDX-License-Identifier: Apache-2.0

import Logging

/// Changes of this machine's network, of which the loop tells.
extension Session: NetworkObserver {
    func watchNetwork() {
        guard configuration.connection.retriesOnNetworkChange else { return }
        do throws(SystemCallError) {
            try loop.watchNetwork(for: self)
        } catch {
            logger.warning(
                "the network cannot be watched: no change of it ends a delay between attempts",
                metadata: ["error": "\(errorText(error.code))"])
        }
    }

    nonisolated func networkChanged(_ change: MQTTNetworkChange) {
        assumeIsolated { $0.perform($0.machine.networkChanged(change, now: .now)) }
    }
}

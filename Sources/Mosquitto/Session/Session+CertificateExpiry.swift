// SPDX-License-Identifier: Apache-2.0

import Logging

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The end of the validity of the broker's certificate while a connection is up.
extension Session {
    /// Connects anew when a certificate of the broker's verified chain expires: the broker is verified again.
    func watchCertificate() {
        guard configuration.tls?.reconnectsAtCertificateExpiry == true,
            let expiry = connection?.tls?.certificateExpiry
        else { return }
        // The last second is part of the validity (RFC 5280, section 4.1.2.5). The wall clock may be set meanwhile.
        let left = expiry.timeIntervalSince(Date.now) + 1
        if left > 0 {
            return setTimer(.certificate, after: min(.seconds(left), .seconds(3_600)), isLoose: true) {
                $0.watchCertificate()
            }
        }
        let actions = machine.reconnectGracefully()
        // A rotation is under way, which may end without a reconnect.
        guard !actions.isEmpty else { return setTimer(.certificate, after: .seconds(1)) { $0.watchCertificate() } }
        logger.notice(
            "reconnecting, since the broker's certificate has expired",
            metadata: ["tls.not_after": "\(expiry.formatted(.iso8601))"])
        perform(actions)
    }
}

// SPDX-License-Identifier: Apache-2.0

import AsyncHTTPClient
import Mosquitto
import NIOCore

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

extension MQTTOAuth2Credentials {
    /// The difference between the issuer's clock and this machine's, in seconds, accurate to about a second: from the
    /// `Date` of the answer (RFC 9110, section 6.6.1) to a request without a secret. `nil` without such an answer.
    package func clockSkew(timeout: Duration = .seconds(5)) async -> Double? {
        var request = HTTPClientRequest(url: tokenURL)
        // Token endpoints accept POST alone, but their refusals of other methods have a date too.
        request.method = .HEAD
        do {
            if let certificateAuthorities {
                request.tlsConfiguration = try await HTTPClient.trust(certificateAuthorities)
            }
            let response = try await httpClient.execute(
                request, timeout: .nanoseconds(Int64(timeout / .nanoseconds(1))))
            guard let text = response.headers.first(name: "date"),
                let seconds = HTTPDate.secondsSince1970(text)
            else { return nil }
            // The date is the beginning of a second.
            let skew = Double(seconds) + 0.5 - Date.now.timeIntervalSince1970
            return (skew * 10).rounded() / 10
        } catch {
            return nil
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

import Mosquitto

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

extension TokenFacts {
    /// Reads only the claims of a JWT: the signature is never copied.
    init(_ credentials: MQTTCredentials, source: String, now: Date) {
        self.source = source
        username = credentials.username
        receivedAt = now
        expiresAt = credentials.expiresAt
        guard let password = credentials.password else { return }
        kind = .password
        flaw = password.withBytes { TokenText.flaw($0) }
        let parts = password.withBytes { bytes -> [String] in
            let parts = bytes.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
            return parts.count == 3 ? parts.prefix(2).map { String(decoding: $0, as: UTF8.self) } : []
        }
        guard parts.count == 2, let header = Self.object(parts[0]), let claims = Self.object(parts[1]) else { return }
        kind = .jwt
        algorithm = Self.string(header["alg"])
        keyID = Self.string(header["kid"])
        self.claims = claims
        issuedAt = Self.date(claims["iat"])
        notBefore = Self.date(claims["nbf"])
        expiresAt = Self.date(claims["exp"]) ?? expiresAt
    }

    private static func object(_ part: String) -> [String: MQTTTokenClaim]? {
        guard let json = Data(base64URL: part[...]) else { return nil }
        return try? JSONDecoder().decode([String: MQTTTokenClaim].self, from: json)
    }

    private static func string(_ claim: MQTTTokenClaim?) -> String? {
        if case .string(let text) = claim { text } else { nil }
    }

    /// RFC 7519, section 2: seconds since 1970, with a fraction or without.
    private static func date(_ claim: MQTTTokenClaim?) -> Date? {
        switch claim {
        case .integer(let seconds) where abs(Double(seconds)) < 1e11: Date(timeIntervalSince1970: Double(seconds))
        // Years outside the calendar's range are not a valid time.
        case .number(let seconds) where abs(seconds) < 1e11: Date(timeIntervalSince1970: seconds)
        default: nil
        }
    }
}

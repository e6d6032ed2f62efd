// SPDX-License-Identifier: Apache-2.0

import AsyncHTTPClient
import Mosquitto
import NIOCore
import NIOPosix
import NIOSSL

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

#if canImport(System)
import System
#else
import SystemPackage
#endif

/// The answer of a token endpoint (RFC 6749, sections 5.1 and 5.2).
struct OAuth2Answer {
    var status: Int
    var retryAfter: String?
    var body: Data

    struct Token {
        var text: String
        var expiresIn: Double?
    }

    private struct Success: Decodable {
        var access_token: String
        var expires_in: MQTTTokenClaim?
    }

    private struct Refusal: Decodable {
        var error: String
        var error_description: String?
    }

    /// The errors of section 5.2 that only a person can correct.
    private static let permanent: Set<String> = [
        "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type", "invalid_scope",
        "invalid_request",
    ]

    /// Returns the token. `secrets`: the secrets of the request, which no message may contain.
    func token(without secrets: [String] = []) throws(MQTTCredentialError) -> Token {
        guard status == 200 else { throw failure(without: secrets) }
        guard let success = try? JSONDecoder().decode(Success.self, from: body) else {
            throw .transient("the issuer answered 200, but with no token")
        }
        return Token(text: success.access_token, expiresIn: expiresIn(success.expires_in))
    }

    private func expiresIn(_ value: MQTTTokenClaim?) -> Double? {
        let seconds: Double? =
            switch value {
            case .integer(let number)?: Double(number)
            case .number(let number)?: number
            // Some issuers write a number as text.
            case .string(let text)?: Double(text)
            default: nil
            }
        return seconds.flatMap { $0 > 0 && $0 < 1e10 ? $0 : nil }
    }

    private func failure(without secrets: [String]) -> MQTTCredentialError {
        let refusal = try? JSONDecoder().decode(Refusal.self, from: body)
        var message = "the issuer answered \(status)"
        if (300..<400).contains(status) { message += ", a redirection, which is not followed with a secret" }
        if let refusal {
            let isKnown = Self.permanent.contains(refusal.error)
            message += " " + (isKnown ? refusal.error : Redaction.printable(refusal.error, without: secrets))
            if let more = refusal.error_description { message += ": " + Redaction.printable(more, without: secrets) }
        }
        // 408 and 429 concern the time of this request, whatever their error.
        if (400..<500).contains(status), status != 408, status != 429, let refusal,
            Self.permanent.contains(refusal.error)
        {
            return .permanent(message)
        }
        return .transient(message, retryAfter: retryAfter.flatMap { Self.delay($0, now: Date.now) })
    }

    /// Returns the delay of a `Retry-After`, at most a day.
    static func delay(_ text: String, now: Date) -> Duration? {
        HTTPDate.delay(retryAfter: text, now: now.timeIntervalSince1970, limit: .seconds(86_400))
    }

    /// Returns the kind of an HTTP failure, without any text that it may quote.
    static func short(_ error: any Error) -> String {
        switch error {
        case let error as HTTPClientError: error.shortDescription
        case let error as NIOConnectionError: error.connectionErrors.first.map { short($0.error) } ?? "unknown host"
        case let error as IOError: Errno(rawValue: error.errnoCode).description
        case is NIOSSLError, is BoringSSLError, is NIOSSLExtraError:
            if error as? NIOSSLExtraError == .failedToValidateHostname {
                "its certificate is for another host"
            } else if "\(error)".contains("CERTIFICATE_VERIFY_FAILED") {
                "its certificate is not trusted"
            } else {
                "the TLS handshake failed"
            }
        default: "\(type(of: error))"
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The SHA-256 digest of a certificate's public key (its SubjectPublicKeyInfo, RFC 7469, section 2.4). It stays the
/// same when a certificate is renewed with the same key.
public struct MQTTTLSPublicKeyPin: Sendable, Hashable, CustomStringConvertible {
    /// 32 bytes.
    public let sha256: [UInt8]

    /// Throws ``MQTTError/Code/invalidConfiguration`` if `sha256` does not have 32 bytes.
    public init(sha256: [UInt8]) throws(MQTTError) {
        guard sha256.count == 32 else {
            throw .invalid(
                .invalidConfiguration, "TLS: a public key pin has \(sha256.count) bytes; a SHA-256 digest has 32")
        }
        self.sha256 = sha256
    }

    init(unchecked digest: [UInt8]) { sha256 = digest }

    /// Creates a pin from base64, with or without the prefix "sha256/" of curl and RFC 7469.
    ///
    /// ```
    /// openssl x509 -in cert.pem -pubkey -noout | openssl pkey -pubin -outform der |
    ///     openssl dgst -sha256 -binary | base64
    /// ```
    ///
    /// Throws ``MQTTError/Code/invalidConfiguration``.
    public init(_ text: String) throws(MQTTError) {
        var base64 = Substring(text)
        if base64.hasPrefix("sha256/") { base64 = base64.dropFirst(7) }
        // curl writes two slashes; a digest may itself begin with one.
        if base64.count == 45, base64.hasPrefix("/") { base64 = base64.dropFirst() }
        guard let data = Data(base64Encoded: String(base64)), data.count == 32 else {
            throw .invalid(
                .invalidConfiguration,
                "TLS: \(quoted(text)) is not a public key pin; give the base64 of a SHA-256 digest")
        }
        sha256 = Array(data)
    }

    /// "sha256/" and the digest in base64.
    public var description: String { "sha256/" + Data(sha256).base64EncodedString() }
}

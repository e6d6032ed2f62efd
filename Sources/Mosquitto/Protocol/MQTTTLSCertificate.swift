// SPDX-License-Identifier: Apache-2.0

#if canImport(FoundationEssentials)
public import FoundationEssentials
#else
public import Foundation
#endif

/// The fields of an X.509 certificate that a person needs to diagnose a failure.
///
/// The texts come from whoever made the certificate. Characters that steer a terminal or a log are escaped, and each
/// text has at most 1 KiB.
public struct MQTTTLSCertificate: Sendable, Hashable {
    /// The subject as one line (RFC 2253), such as "CN=broker.example.com".
    public var subject: String
    /// The issuer as one line.
    public var issuer: String
    /// The serial number in hexadecimal digits.
    public var serialNumber: String
    /// The beginning of the validity.
    public var notBefore: Date
    /// The end of the validity.
    public var notAfter: Date
    /// The names and addresses of the certificate's subject, in the certificate's order.
    public var subjectAlternativeNames: [AlternativeName]
    /// The pin of the public key.
    public var publicKeyPin: MQTTTLSPublicKeyPin
    /// The certificate in DER.
    public var der: [UInt8]

    /// A subject alternative name (RFC 5280, section 4.2.1.6).
    public struct AlternativeName: Sendable, Hashable, CustomStringConvertible {
        public enum Kind: Sendable, Hashable {
            /// A DNS name, such as "*.example.com".
            case dns
            /// An e-mail address.
            case email
            case uri
            /// An IPv4 or IPv6 address.
            case address
            /// Any other kind, such as a directory name.
            case other
        }

        public var kind: Kind
        /// The value: ASCII of a DNS name, an e-mail address or a URI; the 4 or 16 bytes of an address; DER of any
        /// other kind. An authority may have signed bytes that are not allowed there.
        public var bytes: [UInt8]

        public init(_ kind: Kind, bytes: [UInt8]) {
            self.kind = kind
            self.bytes = bytes
        }

        /// Returns a DNS name, to compare with: `certificate.subjectAlternativeNames.contains(.dns("example.com"))`.
        public static func dns(_ name: String) -> Self { Self(.dns, bytes: Array(name.utf8)) }

        /// Returns a URI, to compare with.
        public static func uri(_ uri: String) -> Self { Self(.uri, bytes: Array(uri.utf8)) }

        /// The value of a DNS name, an e-mail address or a URI, if all its characters are visible ASCII; the usual form
        /// of an address. Otherwise `nil`.
        public var text: String? {
            switch kind {
            case .dns, .email, .uri:
                bytes.allSatisfy { (0x21...0x7E).contains($0) } ? String(decoding: bytes, as: UTF8.self) : nil
            case .address: address
            case .other: nil
            }
        }

        /// The kind and the value, such as "DNS:broker.example.com" and "IP Address:192.0.2.1", for people: what is not
        /// printable is escaped. Compare ``kind`` and ``bytes``.
        public var description: String {
            switch kind {
            case .dns: "DNS:" + shown
            case .email: "email:" + shown
            case .uri: "URI:" + shown
            case .address: "IP Address:" + (address ?? shown)
            case .other: "other name of \(bytes.count) bytes"
            }
        }

        private var shown: String { ForeignText(String(decoding: bytes, as: UTF8.self)).description }

        private var address: String? {
            switch bytes.count {
            case 4: bytes.map { String($0) }.joined(separator: ".")
            case 16:
                stride(from: 0, to: 16, by: 2).map { index in
                    String(Int(bytes[index]) << 8 | Int(bytes[index + 1]), radix: 16)
                }.joined(separator: ":")
            default: nil
            }
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

internal import SwiftASN1
internal import X509

#if canImport(FoundationEssentials)
public import FoundationEssentials
#else
public import Foundation
#endif

#if canImport(Darwin)
internal import Darwin
#elseif canImport(Musl)
internal import Musl
#else
internal import Glibc
#endif

/// A temporary certificate authority whose key never leaves the process.
///
/// Its chains satisfy OpenSSL 3, BoringSSL and macOS: the root has critical basic constraints and key usage, each
/// leaf has a subject alternative name, an extended key usage and the key identifiers that link it to the root.
public struct TestCertificateAuthority: Sendable {
    /// The root certificate in PEM, for the trust of clients.
    public let certificatePEM: String

    private let name: DistinguishedName
    private let keyAlgorithm: TestKeyAlgorithm
    private let key: TestKey

    /// Creates a root certificate with a new key.
    ///
    /// Two authorities with the same name have different keys: neither trusts the leaves of the other.
    ///
    /// - Parameters:
    ///   - commonName: The common name of the root certificate.
    ///   - keyAlgorithm: The algorithm of the root key, and of the keys of all identities.
    /// - Throws: An error of swift-certificates if the name cannot be encoded.
    public init(commonName: String = "swift-mosquitto test CA", keyAlgorithm: TestKeyAlgorithm = .p256) throws {
        let name = try DistinguishedName { CommonName(commonName) }
        let key = try TestKey(keyAlgorithm)
        let extensions = try Certificate.Extensions {
            Critical(BasicConstraints.isCertificateAuthority(maxPathLength: nil))
            Critical(KeyUsage(keyCertSign: true, cRLSign: true))
            SubjectKeyIdentifier(keyIdentifier: key.identifier)
        }
        let certificate = try Certificate(
            version: .v3,
            serialNumber: Certificate.SerialNumber(),
            publicKey: key.privateKey.publicKey,
            notValidBefore: Date(timeIntervalSinceNow: -86_400 * 365),
            notValidAfter: Date(timeIntervalSinceNow: 86_400 * 365),
            issuer: name,
            subject: name,
            signatureAlgorithm: key.signatureAlgorithm,
            extensions: extensions,
            issuerPrivateKey: key.privateKey
        )
        self.name = name
        self.keyAlgorithm = keyAlgorithm
        self.key = key
        certificatePEM = try certificate.serializeAsPEM().pemString
    }

    /// Issues the identity of a server.
    ///
    /// - Parameters:
    ///   - names: The DNS names of the subject alternative name. The first is also the common name.
    ///   - addresses: The IPv4 and IPv6 addresses of the subject alternative name.
    ///   - notBefore: The start of validity. By default one hour ago.
    ///   - notAfter: The end of validity. By default one day ahead; in the past for an expired certificate.
    /// - Throws: ``MosquittoTestingError/invalidAddress(_:)`` for an invalid address.
    public func serverIdentity(
        names: [String] = ["localhost"],
        addresses: [String] = ["127.0.0.1", "::1"],
        notBefore: Date = Date(timeIntervalSinceNow: -3_600),
        notAfter: Date = Date(timeIntervalSinceNow: 86_400)
    ) throws -> TestIdentity {
        let alternatives =
            names.map { GeneralName.dnsName($0) } + (try addresses.map { try Self.generalName(address: $0) })
        return try identity(
            commonName: names.first ?? addresses.first ?? "server",
            usage: .serverAuth,
            alternatives: alternatives,
            notBefore: notBefore,
            notAfter: notAfter
        )
    }

    /// Issues the identity of a client, for mutual TLS.
    ///
    /// - Parameters:
    ///   - commonName: The subject's common name, which brokers can take as the user name.
    ///   - notBefore: The start of validity. By default one hour ago.
    ///   - notAfter: The end of validity. By default one day ahead.
    /// - Throws: An error of swift-certificates if the name cannot be encoded.
    public func clientIdentity(
        commonName: String,
        notBefore: Date = Date(timeIntervalSinceNow: -3_600),
        notAfter: Date = Date(timeIntervalSinceNow: 86_400)
    ) throws -> TestIdentity {
        try identity(
            commonName: commonName,
            usage: .clientAuth,
            alternatives: [],
            notBefore: notBefore,
            notAfter: notAfter
        )
    }

    private func identity(
        commonName: String,
        usage: ExtendedKeyUsage.Usage,
        alternatives: [GeneralName],
        notBefore: Date,
        notAfter: Date
    ) throws -> TestIdentity {
        let leafKey = try TestKey(keyAlgorithm)
        let extensions = try Certificate.Extensions {
            Critical(BasicConstraints.notCertificateAuthority)
            Critical(KeyUsage(digitalSignature: true))
            try ExtendedKeyUsage([usage])
            SubjectKeyIdentifier(keyIdentifier: leafKey.identifier)
            AuthorityKeyIdentifier(keyIdentifier: key.identifier)
            // RFC 5280, 4.2.1.6: the extension, if present, holds at least one name.
            if !alternatives.isEmpty {
                SubjectAlternativeNames(alternatives)
            }
        }
        let certificate = try Certificate(
            version: .v3,
            serialNumber: Certificate.SerialNumber(),
            publicKey: leafKey.privateKey.publicKey,
            notValidBefore: notBefore,
            notValidAfter: notAfter,
            issuer: name,
            subject: DistinguishedName { CommonName(commonName) },
            signatureAlgorithm: key.signatureAlgorithm,
            extensions: extensions,
            issuerPrivateKey: key.privateKey
        )
        return TestIdentity(
            certificatePEM: try certificate.serializeAsPEM().pemString,
            privateKeyPEM: leafKey.pem
        )
    }

    private static func generalName(address: String) throws(MosquittoTestingError) -> GeneralName {
        var v4 = in_addr()
        if inet_pton(AF_INET, address, &v4) == 1 {
            return .ipAddress(ASN1OctetString(contentBytes: withUnsafeBytes(of: v4) { ArraySlice($0) }))
        }
        var v6 = in6_addr()
        if inet_pton(AF_INET6, address, &v6) == 1 {
            return .ipAddress(ASN1OctetString(contentBytes: withUnsafeBytes(of: v6) { ArraySlice($0) }))
        }
        throw .invalidAddress(address)
    }
}

extension TestCertificateAuthority: CustomStringConvertible, CustomReflectable {
    public var description: String { "TestCertificateAuthority(private key redacted)" }

    public var customMirror: Mirror { Mirror(self, children: ["certificatePEM": certificatePEM]) }
}

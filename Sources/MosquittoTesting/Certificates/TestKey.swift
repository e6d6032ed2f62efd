// SPDX-License-Identifier: Apache-2.0

internal import Crypto
internal import X509
internal import _CryptoExtras

/// The algorithm of the keys and signatures of a ``TestCertificateAuthority``.
public enum TestKeyAlgorithm: Sendable, Hashable, CaseIterable {
    /// ECDSA over the curve P-256, with SHA-256.
    case p256
    /// RSA of 2,048 bits, with PKCS #1 v1.5 and SHA-256. A key takes a moment to generate.
    case rsa2048
    /// Ed25519 (RFC 8410), which not every TLS library accepts.
    case ed25519
}

/// A private key in the forms that a certificate and its PEM files need.
struct TestKey: Sendable {
    let privateKey: Certificate.PrivateKey
    let signatureAlgorithm: Certificate.SignatureAlgorithm
    /// PKCS #8.
    let pem: String

    init(_ algorithm: TestKeyAlgorithm) throws {
        switch algorithm {
        case .p256:
            let key = P256.Signing.PrivateKey()
            privateKey = Certificate.PrivateKey(key)
            signatureAlgorithm = .ecdsaWithSHA256
            pem = key.pemRepresentation
        case .rsa2048:
            let key = try _RSA.Signing.PrivateKey(keySize: .bits2048)
            privateKey = Certificate.PrivateKey(key)
            signatureAlgorithm = .sha256WithRSAEncryption
            pem = key.pkcs8PEMRepresentation
        case .ed25519:
            privateKey = Certificate.PrivateKey(Curve25519.Signing.PrivateKey())
            signatureAlgorithm = .ed25519
            pem = try privateKey.serializeAsPEM().pemString
        }
    }

    /// RFC 7093, section 2, method 1: the leftmost 160 bits of the SHA-256 of the public key.
    var identifier: ArraySlice<UInt8> {
        ArraySlice(SHA256.hash(data: privateKey.publicKey.subjectPublicKeyInfoBytes).prefix(20))
    }
}

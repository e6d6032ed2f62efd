// SPDX-License-Identifier: Apache-2.0

/// A certificate with its private key, issued for one test run.
///
/// Its description, its debug description and `dump()` show no key, so that a failing test does not print one.
public struct TestIdentity: Sendable {
    /// The leaf certificate in PEM.
    public let certificatePEM: String

    /// The private key in PEM (PKCS#8), not encrypted.
    public let privateKeyPEM: String

    /// Creates an identity from PEM text, for example one that was issued elsewhere.
    ///
    /// - Parameters:
    ///   - certificatePEM: The leaf certificate, followed by any intermediate certificates.
    ///   - privateKeyPEM: The unencrypted private key of the leaf.
    public init(certificatePEM: String, privateKeyPEM: String) {
        self.certificatePEM = certificatePEM
        self.privateKeyPEM = privateKeyPEM
    }
}

extension TestIdentity: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String { "TestIdentity(private key redacted)" }

    public var debugDescription: String { description }

    public var customMirror: Mirror { Mirror(self, children: ["certificatePEM": certificatePEM]) }
}

public import FoundationEssentials

/// An X.509 certificate, as far as a person needs it to see what is wrong.
public struct TLSCertificate: Sendable, Hashable {
    /// The subject as one line (RFC 2253), such as "CN=broker.example.com".
    public var subject: String
    /// The issuer as one line.
    public var issuer: String
    /// The serial number in hexadecimal digits.
    public var serialNumber: String
    /// The beginning of the validity.
    public var notBefore: Date
    /// Its end.
    public var notAfter: Date
    /// The names and addresses it is for, such as "DNS:*.example.com" and "IP Address:192.0.2.1".
    public var subjectAlternativeNames: [String]
    /// The pin of its public key.
    public var publicKeyPin: TLSPublicKeyPin
    /// The certificate itself (DER).
    public var der: [UInt8]
}

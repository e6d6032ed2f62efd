public import FoundationEssentials

/// The fields of an X.509 certificate that a person needs to diagnose a failure.
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
    /// The names and addresses of the certificate's subject, such as "DNS:*.example.com" and "IP Address:192.0.2.1".
    public var subjectAlternativeNames: [String]
    /// The pin of the public key.
    public var publicKeyPin: MQTTTLSPublicKeyPin
    /// The certificate in DER.
    public var der: [UInt8]
}

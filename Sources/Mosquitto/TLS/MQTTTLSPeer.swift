/// The broker's part of a handshake, for ``MQTTTLSConfiguration/customVerification``.
public struct MQTTTLSPeer: Sendable {
    /// The name that the certificate must have.
    public var host: String
    /// The broker's own certificate, followed by the others in the order sent; not empty.
    public var certificates: [MQTTTLSCertificate]
    /// The negotiated version, such as "TLSv1.3".
    package var protocolVersion: String
    /// OpenSSL's name of the negotiated cipher suite.
    package var cipher: String?
}

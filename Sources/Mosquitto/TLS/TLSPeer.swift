/// What a broker has shown in the handshake, for ``TLSConfiguration/customVerification``.
public struct TLSPeer: Sendable {
    /// The name that the certificate was to be for.
    public var host: String
    /// The broker's own certificate, and the others it sent, in its order; not empty.
    public var certificates: [TLSCertificate]
    /// The version of the protocol that was agreed on, such as "TLSv1.3".
    package var protocolVersion: String
    /// OpenSSL's name of the cipher suite that was agreed on.
    package var cipher: String?
}

/// What a broker has shown in the handshake, for ``TLSConfiguration/customVerification``.
public struct TLSPeer: Sendable {
    /// The name that the certificate was to be for.
    public var host: String
    /// The broker's own certificate, and the others it sent, in its order; not empty.
    public var certificates: [TLSCertificate]
}

// SPDX-License-Identifier: Apache-2.0

/// The broker's part of a handshake, for ``MQTTTLSConfiguration/customVerification``.
public struct MQTTTLSPeer: Sendable {
    /// The name that the certificate must have.
    public var host: String
    /// The certificates that the broker presented: its own, followed by the others in the order sent; not empty. Only
    /// the first is the broker's for certain. The others were merely sent along: look for a key or an authority in
    /// ``verifiedChain``.
    public var certificates: [MQTTTLSCertificate]
    /// The chain that was verified, from the broker's certificate to a trusted one, which need not have been sent.
    /// Empty with ``MQTTTLSConfiguration/Verification/none``, which verifies no chain.
    public var verifiedChain: [MQTTTLSCertificate]
    /// The negotiated version, such as "TLSv1.3".
    package var protocolVersion: String
    /// OpenSSL's name of the negotiated cipher suite.
    package var cipher: String?
}

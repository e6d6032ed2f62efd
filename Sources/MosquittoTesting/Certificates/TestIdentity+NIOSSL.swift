// SPDX-License-Identifier: Apache-2.0

internal import NIOSSL

extension TestIdentity {
    /// Returns the settings of a TLS server with this identity.
    ///
    /// - Parameters:
    ///   - clientAuthority: The authorities, in PEM, that must have issued the certificate of each client.
    ///   - applicationProtocols: The protocols that the server offers by ALPN.
    func serverContext(
        clientAuthority: String? = nil, applicationProtocols: [String] = []
    ) throws -> NIOSSLContext {
        let chain = try NIOSSLCertificate.fromPEMBytes(Array(certificatePEM.utf8))
            .map { NIOSSLCertificateSource.certificate($0) }
        let key = try NIOSSLPrivateKey(bytes: Array(privateKeyPEM.utf8), format: .pem)
        var configuration: TLSConfiguration
        if let clientAuthority {
            let roots = try NIOSSLCertificate.fromPEMBytes(Array(clientAuthority.utf8))
            configuration = .makeServerConfigurationWithMTLS(
                certificateChain: chain,
                privateKey: .privateKey(key),
                trustRoots: .certificates(roots)
            )
        } else {
            configuration = .makeServerConfiguration(certificateChain: chain, privateKey: .privateKey(key))
        }
        configuration.minimumTLSVersion = .tlsv12
        configuration.applicationProtocols = applicationProtocols
        // The time for which an orderly close waits for the client's close_notify: a client that never sends one must
        // not stall a test.
        configuration.shutdownTimeout = .milliseconds(200)
        return try NIOSSLContext(configuration: configuration)
    }
}

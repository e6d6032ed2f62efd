// SPDX-License-Identifier: Apache-2.0

public import AsyncHTTPClient
import Mosquitto
import NIOSSL

extension HTTPClient {
    /// The client of ``MQTTOAuth2Credentials``: it trusts the system's certificate authorities and follows no
    /// redirection, which would send a secret elsewhere. It lives as long as the process.
    public static let oauth2 = HTTPClient(eventLoopGroupProvider: .singleton, configuration: oauth2Configuration)

    static var oauth2Configuration: Configuration {
        var configuration = Configuration()
        configuration.tlsConfiguration = .oauth2
        configuration.redirectConfiguration = .disallow
        // The MQTT client retries by itself, and an untrusted certificate must be reported at once.
        configuration.connectionPool.retryConnectionEstablishment = false
        return configuration
    }

    /// Returns the trust in the certificate authorities of a PEM file, which may just then be replaced.
    static func trust(_ path: String) async throws(MQTTCredentialError) -> NIOSSL.TLSConfiguration {
        var configuration = NIOSSL.TLSConfiguration.oauth2
        let file = "the certificate authority file \"\(path)\""
        let content: MQTTSecret
        do throws(FileFailure) {
            content = try await FileReader.shared.read(path, limit: 16 << 20)
        } catch {
            throw .transient("\(file) cannot be used: it \(error.reason)")
        }
        do {
            let authorities = try NIOSSLCertificate.fromPEMBytes(content.withBytes { Array($0) })
            if authorities.isEmpty { throw NIOSSLError.failedToLoadCertificate }
            configuration.trustRoots = .certificates(authorities)
        } catch {
            throw .transient("\(file) cannot be used")
        }
        return configuration
    }
}

extension NIOSSL.TLSConfiguration {
    /// For the issuer: a secret is not sent with an older version (RFC 8996), which NIOSSL has by default.
    fileprivate static var oauth2: Self {
        var configuration = makeClientConfiguration()
        configuration.minimumTLSVersion = .tlsv12
        return configuration
    }
}

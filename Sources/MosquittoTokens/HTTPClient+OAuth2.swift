public import AsyncHTTPClient
public import Mosquitto
import NIOSSL

extension HTTPClient {
    /// The client of ``MQTTOAuth2Credentials``: it trusts the system's certificate authorities and follows no redirection, which
    /// would take a secret elsewhere. It lives as long as the process.
    public static let oauth2 = HTTPClient(eventLoopGroupProvider: .singleton, configuration: oauth2Configuration)

    /// The same with the certificate authorities in this PEM file, and no others; for requests besides, since
    /// ``MQTTOAuth2Credentials/certificateAuthorities`` needs no client of its own. It is yours to `shutdown()`: in a debug build
    /// the process ends if it is let go without.
    ///
    /// Throws ``MQTTCredentialError`` if the file cannot be used.
    public static func oauth2(certificateAuthorities path: String) throws(MQTTCredentialError) -> HTTPClient {
        var configuration = oauth2Configuration
        do throws(MQTTCredentialError) {
            configuration.tlsConfiguration = try trust(path)
        } catch {
            // Whoever makes a client now wants to hear of it now.
            throw .permanent(error.message)
        }
        return HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
    }

    /// Trust in the certificate authorities of a PEM file, which may just be being replaced.
    static func trust(_ path: String) throws(MQTTCredentialError) -> NIOSSL.TLSConfiguration {
        var configuration = NIOSSL.TLSConfiguration.makeClientConfiguration()
        do {
            let authorities = try NIOSSLCertificate.fromPEMFile(path)
            if authorities.isEmpty { throw NIOSSLError.failedToLoadCertificate }
            configuration.trustRoots = .certificates(authorities)
        } catch {
            throw .transient("the certificate authority file \"\(path)\" cannot be used")
        }
        return configuration
    }

    private static var oauth2Configuration: Configuration {
        var configuration = Configuration()
        configuration.redirectConfiguration = .disallow
        // The MQTT client asks again by itself; a certificate that is not trusted is to be heard of at once.
        configuration.connectionPool.retryConnectionEstablishment = false
        return configuration
    }
}

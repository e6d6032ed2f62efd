// SPDX-License-Identifier: Apache-2.0

import Mosquitto

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The look-up of the host name.
struct NameFacts: Encodable, Sendable {
    var host: String
    var addresses: [String] = []
    var seconds: Double?
}

/// The connection attempts over TCP or a Unix socket, address by address.
struct ConnectFacts: Encodable, Sendable {
    enum Failure: String, Encodable, Sendable { case refused, timeout, unreachable, system }

    struct Address: Encodable, Sendable {
        var address: String
        var seconds: Double
        /// `nil` if it connected.
        var failure: Failure?
        /// The error text of the system.
        var error: String?
    }

    var port: Int
    var addresses: [Address] = []
}

/// The proxy on the way to the broker: never its user name or password.
struct ProxyFacts: Encodable, Sendable {
    enum Kind: String, Encodable, Sendable { case socks5, http, https }

    var kind: Kind
    var host: String
    var port: Int
    /// The status of an HTTP proxy that refused.
    var httpStatus: Int?
    /// The failed check of the certificate of a proxy with TLS.
    var failedCheck: TLSFacts.FailedCheck?

    init(_ proxy: MQTTProxy) {
        kind =
            switch proxy.kind {
            case .socks5: .socks5
            case .https: .https
            default: .http
            }
        host = proxy.host
        port = proxy.port
    }
}

/// The outcome of the TLS handshake, and the certificates that the broker has sent.
struct TLSFacts: Encodable, Sendable {
    struct Certificate: Encodable, Sendable {
        var subject: String
        var issuer: String
        var serialNumber: String
        var notBefore: Date
        var notAfter: Date
        var subjectAlternativeNames: [String]
        var publicKeyPin: String

        init(_ certificate: MQTTTLSCertificate) {
            subject = certificate.subject
            issuer = certificate.issuer
            serialNumber = certificate.serialNumber
            notBefore = certificate.notBefore
            notAfter = certificate.notAfter
            subjectAlternativeNames = certificate.subjectAlternativeNames.map(\.description)
            publicKeyPin = "\(certificate.publicKeyPin)"
        }
    }

    struct FailedCheck: Encodable, Sendable {
        /// OpenSSL's `X509_V_ERR_…`.
        var code: Int32
        var text: String
        var depth: Int32

        init(_ verification: MQTTTLSFailure.Verification) {
            code = verification.code
            text = verification.text
            depth = verification.depth
        }
    }

    /// The host name that the certificate must match.
    var host: String
    var version: String?
    var cipher: String?
    /// The group of the key exchange.
    var group: String?
    var applicationProtocol: String?
    /// The broker's own certificate, and the others it sent.
    var chain: [Certificate] = []
    var failedCheck: FailedCheck?
    /// The broker's alert that ended the handshake.
    var alert: String?
    /// True if a client certificate was configured.
    var hasClientCertificate = false
}

/// The credentials: never the password, the token or its signature.
struct TokenFacts: Encodable, Sendable {
    enum Kind: String, Encodable, Sendable { case none, password, jwt }

    /// The source of the credentials: "static", "file", "command", "oauth2" or "signed".
    var source: String?
    var username: String?
    var kind = Kind.none
    /// The text around the password that hardly belongs to it, such as quotes.
    var flaw: String?
    var algorithm: String?
    var keyID: String?
    var claims: [String: MQTTTokenClaim] = [:]
    var issuedAt: Date?
    var notBefore: Date?
    var expiresAt: Date?
    /// The time of receipt and examination, by this machine's clock.
    var receivedAt: Date?
    /// The issuer's clock less this machine's, in seconds, if the issuer's answer contains its time.
    var clockSkew: Double?
}

/// The server's answer to the request for a WebSocket: nothing of the request but its path, since its query and its
/// headers may be signed.
struct UpgradeFacts: Encodable, Sendable {
    var path: String
    /// 101 for success.
    var httpStatus: Int?
    /// The name of the server that refused.
    var server: String?
    /// The reason of a 401.
    var challenge: String?
    /// The target of a redirection, without its query.
    var location: String?
    /// The delay that the server asks for, in seconds.
    var retryAfter: Double?
    /// The beginning of the answer's body.
    var body: String?

    /// The facts of a WebSocket that was accepted.
    init(path: String) {
        self.path = path
        httpStatus = 101
    }

    init(path: String, _ error: MQTTError) {
        self.path = path
        httpStatus = error.httpStatus
        server = error.webSocket?.server
        challenge = error.webSocket?.challenge
        location = error.serverReference
        retryAfter = error.webSocket?.retryAfter?.inSeconds
        body = error.webSocket?.body
    }
}

/// The broker's answer to CONNECT.
struct ConnackFacts: Encodable, Sendable {
    struct Property: Encodable, Sendable {
        var name: String
        var value: String
    }

    /// The number that the broker sent; 0 for success.
    var code: Int?
    var reason: String?
    var reasonString: String?
    var seconds: Double?
    var clientID: String
    var protocolVersion: String
    var sessionPresent: Bool?
    /// Limits of the broker (MQTT 5.0, section 3.2.2.3), with the default of each property it left out; `nil` for MQTT
    /// 3.1.1.
    var limits: Limits?
    var serverReference: String?
    var userProperties: [Property] = []

    struct Limits: Encodable, Sendable {
        var receiveMaximum: Int
        var maximumQoS: Int
        var maximumPacketSize: Int?
        var topicAliasMaximum: Int
        var retainAvailable: Bool
        var wildcardSubscriptionAvailable: Bool
        var subscriptionIdentifiersAvailable: Bool
        var sharedSubscriptionAvailable: Bool
        var sessionExpiryInterval: Int?
        var serverKeepAlive: Int?
    }
}

/// The message that the doctor sends to itself.
struct LoopBackFacts: Encodable, Sendable {
    var topic: String
    var qos: Int
    /// From the publish to the receipt.
    var seconds: Double?
}

// SPDX-License-Identifier: Apache-2.0

import Crypto
import Foundation
package import Mosquitto
import _CryptoExtras

/// Makes the tokens that a broker of `Tests/Brokers` or of a cluster accepts.
package protocol BrokerTokens: Sendable {
    /// The files that the broker's start script needs in its folder.
    var brokerFiles: [String: String] { get }

    /// The user name that goes with the tokens.
    var username: String { get }

    /// Returns a token that expires after `lifetime`, in whole seconds; a token with a negative lifetime has expired
    /// already.
    func token(lifetime: Duration) throws -> String
}

extension BrokerTokens {
    package func credentials(lifetime: Duration) throws -> MQTTCredentials {
        MQTTCredentials(username: username, password: MQTTSecret(try token(lifetime: lifetime)))
    }
}

/// JSON Web Tokens with the algorithm RS256, for the audience "mqtt".
package struct JWTSigner: BrokerTokens {
    package let username: String

    private let key: _RSA.Signing.PrivateKey
    private let scope: String?

    /// The rights in RabbitMQ: everything that MQTT does.
    package static let rabbitMQScope =
        "mqtt.configure:*/* mqtt.read:*/* mqtt.write:*/* mqtt.read:*/*/* mqtt.write:*/*/*"

    package init(subject: String = "dev1", scope: String? = nil) throws {
        key = try _RSA.Signing.PrivateKey(keySize: .bits2048)
        username = subject
        self.scope = scope
    }

    package var brokerFiles: [String: String] { ["jwt.pub.pem": key.publicKey.pemRepresentation] }

    /// The files that make the token endpoint of `Tests/Brokers/oauth2-issuer` sign with the same key.
    package var issuerFiles: [String: String] { ["jwt.key.pem": key.pkcs8PEMRepresentation] }

    package func token(lifetime: Duration) throws -> String {
        let expiry = Int(Date.now.timeIntervalSince1970) + Int(lifetime.components.seconds)
        let claims = Claims(
            sub: username, aud: "mqtt", iat: expiry - abs(Int(lifetime.components.seconds)), exp: expiry,
            jti: UUID().uuidString, scope: scope)
        let header = Data(#"{"alg":"RS256","typ":"JWT","kid":"test"}"#.utf8)
        let signed = header.base64URL + "." + (try JSONEncoder().encode(claims)).base64URL
        let signature = try key.signature(for: Data(signed.utf8), padding: .insecurePKCS1v1_5)
        return signed + "." + signature.rawRepresentation.base64URL
    }

    private struct Claims: Encodable {
        var sub: String
        var aud: String
        var iat: Int
        var exp: Int
        var jti: String
        var scope: String?
    }
}

/// NATS' own kind of JWT (Ed25519): an operator vouches for accounts, and an account for users, which MQTT clients are.
package struct NATSTokens: BrokerTokens {
    package let username = "dev1"

    private let operatorKey = NATSKey(.operator)
    private let systemAccount = NATSKey(.account)
    private let account = NATSKey(.account)

    package init() {}

    /// The lines of the server's configuration that make it trust the operator and know the accounts.
    package var brokerFiles: [String: String] {
        let limits = #""subs":-1,"data":-1,"payload":-1,"imports":-1,"exports":-1,"wildcards":true,"conn":-1,"leaf":-1"#
        let storage = #""mem_storage":-1,"disk_storage":-1,"streams":-1,"consumer":-1"#
        let system = operatorKey.sign(
            subject: systemAccount, nats: #"{"type":"account","version":2,"limits":{\#(limits)}}"#)
        let user = operatorKey.sign(
            subject: account, nats: #"{"type":"account","version":2,"limits":{\#(limits),\#(storage)}}"#)
        let trusted = operatorKey.sign(
            subject: operatorKey,
            nats: #"{"type":"operator","version":2,"system_account":"\#(systemAccount.publicKey)"}"#)
        let lines = """
            operator: "\(trusted)"
            system_account: \(systemAccount.publicKey)
            resolver: MEMORY
            resolver_preload: {
              \(systemAccount.publicKey): "\(system)"
              \(account.publicKey): "\(user)"
            }

            """
        return ["nats-auth.conf": lines]
    }

    package func token(lifetime: Duration) throws -> String {
        // A client proves nothing with a bearer token: MQTT has no room for NATS' challenge.
        account.sign(
            subject: NATSKey(.user), lifetime: lifetime,
            nats: #"{"type":"user","version":2,"bearer_token":true,"subs":-1,"data":-1,"payload":-1}"#)
    }
}

/// An NKey: an Ed25519 key whose public half is written in Base32, with a first letter for the kind of its owner.
private struct NATSKey: Sendable {
    enum Role: UInt8 {
        case account = 0
        case `operator` = 112
        case user = 160
    }

    let publicKey: String

    private let key = Curve25519.Signing.PrivateKey()

    init(_ role: Role) {
        var bytes = [role.rawValue] + key.publicKey.rawRepresentation
        let checksum = Self.crc16(bytes)
        bytes += [UInt8(checksum & 0xFF), UInt8(checksum >> 8)]
        publicKey = Self.base32(bytes)
    }

    /// Returns a JWT of this key that grants the rights in `nats`, as JSON.
    func sign(subject: NATSKey, lifetime: Duration? = nil, nats: String) -> String {
        let now = Int(Date.now.timeIntervalSince1970)
        let expiry = lifetime.map { now + Int($0.components.seconds) }
        let issued = min(now, expiry ?? now)
        let claims = """
            {"jti":"\(UUID().uuidString)","iat":\(issued),"iss":"\(publicKey)","sub":"\(subject.publicKey)",\
            "name":"test"\(expiry.map { #","exp":\#($0)"# } ?? ""),"nats":\(nats)}
            """
        let signed = Data(#"{"typ":"JWT","alg":"ed25519-nkey"}"#.utf8).base64URL + "." + Data(claims.utf8).base64URL
        // Fails only without a source of randomness; the server then refuses the token.
        let signature = (try? key.signature(for: Data(signed.utf8))) ?? Data()
        return signed + "." + signature.base64URL
    }

    /// CRC-16/XMODEM.
    private static func crc16(_ bytes: [UInt8]) -> UInt16 {
        var checksum: UInt16 = 0
        for byte in bytes {
            checksum ^= UInt16(byte) << 8
            for _ in 0..<8 { checksum = checksum & 0x8000 == 0 ? checksum << 1 : checksum << 1 ^ 0x1021 }
        }
        return checksum
    }

    /// RFC 4648, section 6, without padding. 35 bytes need none.
    private static func base32(_ bytes: [UInt8]) -> String {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")
        var text = ""
        var bits: UInt32 = 0
        var count = 0
        for byte in bytes {
            bits = bits << 8 | UInt32(byte)
            count += 8
            while count >= 5 {
                count -= 5
                text.append(alphabet[Int(bits >> UInt32(count) & 31)])
            }
        }
        return text
    }
}

extension Data {
    /// RFC 7515, section 2: Base64 for URLs, without padding.
    fileprivate var base64URL: String {
        base64EncodedString().replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
    }
}

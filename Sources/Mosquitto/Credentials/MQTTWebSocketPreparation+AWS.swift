// SPDX-License-Identifier: Apache-2.0

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The keys of an AWS identity. Descriptions and dumps show the identifier only.
public struct MQTTAWSCredentials: Sendable, Hashable {
    /// The access key identifier, such as "AKIAIOSFODNN7EXAMPLE".
    public var accessKeyID: String
    /// The secret access key.
    public var secretAccessKey: MQTTSecret
    /// The session token of temporary credentials (STS); `nil` for permanent ones.
    public var sessionToken: MQTTSecret?

    public init(accessKeyID: String, secretAccessKey: MQTTSecret, sessionToken: MQTTSecret? = nil) {
        self.accessKeyID = accessKeyID
        self.secretAccessKey = secretAccessKey
        self.sessionToken = sessionToken
    }
}

extension MQTTWebSocketPreparation {
    /// A URL for AWS IoT Core that is signed with Signature Version 4, anew for each attempt.
    ///
    /// The endpoint is `wss://….iot.REGION.amazonaws.com/mqtt`. The clock of this machine must be within five minutes
    /// of AWS's.
    ///
    /// - Parameters:
    ///   - region: the region of the endpoint, such as "eu-central-1".
    ///   - credentials: returns the keys to sign with. Called before each attempt; after a refused signature with the
    ///     purpose ``MQTTConnectAttempt/Purpose/rejected``. Its errors are treated like those of a credential provider.
    public static func awsSigV4(
        region: String, credentials: @escaping @Sendable (MQTTConnectAttempt) async throws -> MQTTAWSCredentials
    ) -> MQTTWebSocketPreparation {
        MQTTWebSocketPreparation { request, _, attempt in
            let signature = AWSSignature(
                credentials: try await credentials(attempt), region: region, service: "iotdevicegateway")
            request.query = signature.query(signing: request, at: Date.now)
        }
    }
}

/// AWS Signature Version 4 in the query of a URL. A value without a clock.
struct AWSSignature {
    var credentials: MQTTAWSCredentials
    var region: String
    var service: String
    /// The digest of the body in the signed text. An upgrade has an empty body.
    var bodyDigest = Digest.sha256([]).hexadecimal
    /// The validity of the URL in seconds; `nil` for the service's own.
    var expiry: Int?

    private static let algorithm = "AWS4-HMAC-SHA256"

    /// Returns the query of the request, extended by a signature. AWS IoT wants the session token behind the signature,
    /// and not signed.
    func query(signing request: MQTTWebSocketRequest, at time: Date) -> MQTTSecret {
        let date = Self.timestamp(time)
        let scope = "\(date.prefix(8))/\(region)/\(service)/aws4_request"
        var parameters = [
            ("X-Amz-Algorithm", Self.algorithm),
            ("X-Amz-Credential", PercentEncoding.encoded(credentials.accessKeyID + "/" + scope)),
            ("X-Amz-Date", date), ("X-Amz-SignedHeaders", "host"),
        ]
        if let expiry { parameters.append(("X-Amz-Expires", "\(expiry)")) }
        // The parameters of the URL are percent-encoded already.
        for parameter in request.query?.text.split(separator: "&") ?? [] {
            let parts = parameter.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            parameters.append((String(parts[0]), parts.count == 2 ? String(parts[1]) : ""))
        }
        let query = parameters.sorted { ($0.0, $0.1) < ($1.0, $1.1) }.map { "\($0)=\($1)" }.joined(separator: "&")
        let canonical =
            "GET\n\(PercentEncoding.encoded(request.path, exceptSlash: true))\n\(query)\nhost:\(request.host.lowercased())\n\nhost\n"
            + bodyDigest
        let text = "\(Self.algorithm)\n\(date)\n\(scope)\n\(Digest.sha256(Array(canonical.utf8)).hexadecimal)"
        var key = signingKey(day: String(date.prefix(8)))
        defer { SecretBytes.cleanse(&key) }
        var signed = query + "&X-Amz-Signature=" + Digest.hmacSHA256(Array(text.utf8), key: key).hexadecimal
        if let token = credentials.sessionToken {
            signed += "&X-Amz-Security-Token=" + PercentEncoding.encoded(token.text)
        }
        return MQTTSecret(signed)
    }

    /// The key derived from the secret access key for a day, given as YYYYMMDD.
    func signingKey(day: String) -> [UInt8] {
        var key = Array("AWS4".utf8)
        credentials.secretAccessKey.withBytes { key += $0 }
        for part in [day, region, service, "aws4_request"] {
            let next = Digest.hmacSHA256(Array(part.utf8), key: key)
            SecretBytes.cleanse(&key)
            key = next
        }
        return key
    }

    /// Returns a time in the form 20130524T000000Z.
    static func timestamp(_ time: Date) -> String {
        // "2013-05-24T00:00:00Z", whatever fractions of a second the time has.
        Date(timeIntervalSince1970: time.timeIntervalSince1970.rounded(.down)).formatted(.iso8601)
            .replacing("-", with: "").replacing(":", with: "")
    }
}

extension [UInt8] {
    fileprivate var hexadecimal: String {
        reduce(into: "") { text, byte in
            let digits = String(byte, radix: 16)
            text += digits.count == 1 ? "0" + digits : digits
        }
    }
}

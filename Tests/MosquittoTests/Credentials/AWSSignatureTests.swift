// SPDX-License-Identifier: Apache-2.0

import Testing
import Turns

@testable import Mosquitto

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

@Suite(.turn(.units)) struct `A signature of AWS` {
    /// The example of "Authenticating Requests: Using Query Parameters" in the documentation of S3.
    @Test func `is that of the published example`() {
        var signature = AWSSignature(
            credentials: MQTTAWSCredentials(
                accessKeyID: "AKIAIOSFODNN7EXAMPLE", secretAccessKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
            region: "us-east-1", service: "s3")
        signature.bodyDigest = "UNSIGNED-PAYLOAD"
        signature.expiry = 86_400
        let request = MQTTWebSocketRequest(
            to: .secureWebSocket(host: "examplebucket.s3.amazonaws.com", path: "/test.txt"))
        // 2013-05-24T00:00:00Z
        let query = signature.query(signing: request, at: Date(timeIntervalSince1970: 1_369_353_600.7)).text
        #expect(
            query
                == "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
                + "&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
                + "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404")
    }

    /// The example of "Deriving a signing key" in the documentation of AWS.
    @Test func `has the published signing key`() {
        let signature = AWSSignature(
            credentials: MQTTAWSCredentials(
                accessKeyID: "AKIDEXAMPLE", secretAccessKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
            region: "us-east-1", service: "iam")
        let key = signature.signingKey(day: "20150830").map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }
        #expect(key.joined() == "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9")
    }

    @Test func `of a session has its token behind the signature, and keeps the parameters of the URL`() throws {
        let signature = AWSSignature(
            credentials: MQTTAWSCredentials(accessKeyID: "A", secretAccessKey: "b", sessionToken: "t/+="),
            region: "eu-central-1", service: "iotdevicegateway")
        let request = MQTTWebSocketRequest(
            to: try MQTTEndpoint(url: "wss://x.iot.eu-central-1.amazonaws.com/mqtt?z&a=1"))
        let query = signature.query(signing: request, at: .now).text
        #expect(query.hasSuffix("&X-Amz-Security-Token=t%2F%2B%3D"))
        #expect(query.contains("&a=1&z=&X-Amz-Signature="))
        var prepared = request
        prepared.query = MQTTSecret(query)
        #expect(prepared.flaw == nil)
    }

    @Test func `is made anew for each attempt, with keys that are asked for anew`() async throws {
        let preparation = MQTTWebSocketPreparation.awsSigV4(region: "eu-central-1") { attempt in
            MQTTAWSCredentials(accessKeyID: "KEY\(attempt.number)", secretAccessKey: "geheim")
        }
        let endpoint = MQTTEndpoint.secureWebSocket(host: "a")
        for number in 1...2 {
            let request = try await preparation.prepare(
                MQTTWebSocketRequest(to: endpoint), .anonymous, MQTTConnectAttempt(number: number, endpoint: endpoint))
            #expect(request.query?.text.contains("X-Amz-Credential=KEY\(number)%2F") == true)
        }
        var text = ""
        dump(MQTTAWSCredentials(accessKeyID: "A", secretAccessKey: "geheim", sessionToken: "geheim"), to: &text)
        #expect(!text.contains("geheim"))
    }
}

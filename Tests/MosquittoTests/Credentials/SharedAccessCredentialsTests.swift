// SPDX-License-Identifier: Apache-2.0

import Testing
import Turns

@testable import Mosquitto

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

@Suite(.turn(.units)) struct `A shared access signature` {
    private let attempt = MQTTConnectAttempt(endpoint: MQTTEndpoint(host: "localhost", port: 8883))

    private func provider(
        _ key: MQTTSecret = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=", policy: String? = nil,
        lifetime: Duration = .seconds(3_600)
    ) -> MQTTSharedAccessCredentials {
        MQTTSharedAccessCredentials(
            resource: "contoso.azure-devices.net/devices/kitchen", key: key, policy: policy, username: "user",
            lifetime: lifetime
        ) { Date(timeIntervalSince1970: 1_699_996_400) }
    }

    /// The expected signature is from Python's hmac, hashlib and urllib.parse.
    @Test func `is the one that Azure's documentation describes`() async throws {
        let credentials = try await provider().credentials(for: attempt)
        #expect(
            credentials.password?.text
                == "SharedAccessSignature sr=contoso.azure-devices.net%2Fdevices%2Fkitchen"
                + "&sig=%2Bq2qNAAqoMpAnXzrzu5epGZUO9APkldSRsmJ9U18BSs%3D&se=1700000000")
        #expect(credentials.expiresAt == Date(timeIntervalSince1970: 1_700_000_000))
        #expect(credentials.username == "user")
        let named = try await provider(policy: "my policy").credentials(for: attempt)
        #expect(named.password?.text.hasSuffix("&se=1700000000&skn=my%20policy") == true)
    }

    @Test(arguments: ["", "not Base64!"])
    func `needs a key in Base64`(key: String) async {
        let error = await #expect(throws: MQTTCredentialError.self) {
            try await provider(MQTTSecret(key)).credentials(for: attempt)
        }
        #expect(error?.kind == .permanent)
        #expect(error?.message.contains("not Base64!") == false)
    }

    @Test func `needs a lifetime of a minute`() async {
        await #expect(throws: MQTTCredentialError.self) {
            try await provider(lifetime: .seconds(59)).credentials(for: attempt)
        }
    }

    @Test func `shows no key`() {
        var dumped = ""
        dump(provider(), to: &dumped)
        #expect(!dumped.contains("MDEyMzQ1"))
    }
}

@Suite(.turn(.units)) struct `A token for a platform` {
    private let attempt = MQTTConnectAttempt(endpoint: MQTTEndpoint(host: "localhost", port: 8883))

    private func check(
        _ claims: String, audiences: [String]? = ["p"], longest: Duration? = nil
    ) async throws -> MQTTCredentials {
        let payload = Data(claims.utf8).base64EncodedString()
            .replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
        let base = MQTTStaticCredentials(username: "u", password: MQTTSecret("e30.\(payload).c2ln"))
        return try await CheckedTokens(
            base: base, platform: "It", audiences: audiences, longestLifetime: longest, username: "unused"
        ).credentials(for: attempt)
    }

    @Test(arguments: [#"{"aud":"p"}"#, #"{"aud":["q","p"]}"#])
    func `passes with its audience`(claims: String) async throws {
        #expect(try await check(claims).username == "unused")
    }

    @Test(arguments: [#"{"aud":"q"}"#, #"{"aud":[]}"#, "{}", #"{"aud":5}"#])
    func `of another audience is not sent, and the error names both`(claims: String) async {
        let error = await #expect(throws: MQTTCredentialError.self) { try await check(claims) }
        #expect(error?.kind == .permanent && error?.message.contains(#"It takes "p""#) == true)
    }

    @Test func `of any audience passes if the platform has none`() async throws {
        _ = try await check("{}", audiences: nil)
    }

    @Test func `that is valid for too long is not sent`() async throws {
        _ = try await check(#"{"aud":"p","iat":100,"exp":200}"#, longest: .seconds(100))
        await #expect(throws: MQTTCredentialError.self) {
            try await check(#"{"aud":"p","iat":100,"exp":200}"#, longest: .seconds(99))
        }
    }

    @Test func `that is no JWT, or missing, is not sent`() async {
        for password in [MQTTSecret?.none, "password", "a.b.c"] {
            let tokens = CheckedTokens(base: MQTTStaticCredentials(username: nil, password: password), platform: "It")
            await #expect(throws: MQTTCredentialError.self) { try await tokens.credentials(for: attempt) }
        }
    }
}

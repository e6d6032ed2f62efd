// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Mosquitto
import MosquittoTesting
import MosquittoTokens
import Testing
import Turns

@testable import mosq

@Suite("Token arguments", .turn(.arguments), .timeLimit(.minutes(1)))
struct TokenArgumentTests {
    private func configuration(_ arguments: [String]) throws -> MQTTClientConfiguration {
        try ConnectionOptions.read(arguments).configuration(.publish)
    }

    @Test func `a program is split into words, and run by no shell`() throws {
        let source = try #require(
            try configuration(["-u", "u", "--token-command", #"get-token --for "a b" 'c $d'"#]).credentials
                as? MQTTCommandCredentials)
        #expect(source.executable == "get-token")
        #expect(source.arguments == ["--for", "a b", "c $d"])
        #expect(source.username == .fixed("u"))
    }

    @Test func `an OAuth 2.0 issuer`() throws {
        let source = try #require(
            try configuration([
                "--oauth2-token-url", "https://issuer/token", "--oauth2-client-id", "c", "--oauth2-client-secret-file",
                "/secret", "--oauth2-scope", "a b",
            ]).credentials as? MQTTOAuth2Credentials)
        #expect(source.tokenURL == "https://issuer/token")
        #expect(source.clientID == "c")
        #expect(source.scope == "a b")
        guard case .basicFile("/secret") = source.authentication else {
            Issue.record("another authentication")
            return
        }
    }

    @Test func `a token that is signed here`() throws {
        let source = try #require(
            try configuration([
                "--jwt-key", "/key.pem", "--jwt-algorithm", "ES256", "--jwt-kid", "k", "--jwt-lifetime", "60",
                "--jwt-claim", "sub=42", "--jwt-claim", "level=3", "--jwt-claim", "admin=true", "--jwt-claim",
                #"aud=["a","b"]"#, "--jwt-claim", "text=a=b",
            ]).credentials as? MQTTSignedCredentials)
        #expect(source.key.algorithm == .es256)
        #expect(source.keyID == "k")
        #expect(source.lifetime == .seconds(60))
        #expect(
            source.claims == ["sub": "42", "level": 3, "admin": true, "aud": ["a", "b"], "text": "a=b"])
    }

    @Test(arguments: [
        ["-P", "p", "--token-command", "c"], ["--token-file", "f", "--jwt-key", "k", "--jwt-algorithm", "ES256"],
        ["--token-command", ""], ["--token-command", "a 'b"], ["--token-command", #"a \"#],
        ["--oauth2-token-url", "https://i"], ["--oauth2-client-id", "c"], ["--oauth2-scope", "s"],
        ["--oauth2-cafile", "f"], ["--jwt-key", "k"], ["--jwt-key", "k", "--jwt-algorithm", "none"],
        ["--jwt-algorithm", "ES256"], ["--jwt-claim", "a=b"], ["--jwt-lifetime", "60"],
        ["--jwt-key", "k", "--jwt-algorithm", "ES256", "--jwt-claim", "=b"],
        ["--jwt-key", "k", "--jwt-algorithm", "ES256", "--jwt-lifetime", "0"],
        [
            "--oauth2-token-url", "https://i", "--oauth2-client-id", "c", "--oauth2-client-secret-file", "s",
            "--oauth2-cafile", "/no/such/file",
        ],
    ])
    func `what cannot be meant is refused`(arguments: [String]) {
        #expect(throws: CommandFailure.self) { try configuration(arguments) }
    }

    @Test(arguments: [
        (#"a b"#, ["a", "b"]), (#"  a   b "#, ["a", "b"]), (#"a\ b"#, ["a b"]), (#"a'b c'd"#, ["ab cd"]),
        (#""""#, [""]), (#""a\"b\c""#, [#"a"b\c"#]), (#"'a\b'"#, [#"a\b"#]), (#"a|b;$c"#, ["a|b;$c"]), ("", []),
    ])
    func `words are those of a shell`(text: String, words: [String]) throws {
        #expect(try ShellWords.split(text) == words)
    }

    @Test func `the token of a program is the password`() async throws {
        let broker = try await ScriptedBroker.start(authentication: .password("u", "from a program"))
        let result = try await runMosq(
            "pub", "-p", "\(broker.port)", "-u", "u", "--token-command", "printf '%s' 'from a program'", "-t", "a",
            "-m", "x", "-q", "1", "--events")
        #expect(result.status == 0)
        #expect(broker.publishes.map(\.text) == ["x"])
        let refreshed = try #require(result.events.first { $0["event"] == "credentialsRefreshed" })
        #expect(refreshed["source"] == "command")
        await broker.stop()
    }

    @Test func `a token that is signed with a shared secret is the password`() async throws {
        let secret = Array("a secret of more than thirty-two bytes".utf8)
        let issuer = TestTokenIssuer(secret: secret)
        let broker = try await ScriptedBroker.start(authentication: .token(issuer, kickOnExpiry: false))
        let folder = try TemporaryDirectory()
        let file = try folder.write(String(decoding: secret, as: UTF8.self) + "\n", to: "secret")
        let result = try await runMosq(
            "pub", "-p", "\(broker.port)", "-u", "u", "--jwt-key", file, "--jwt-algorithm", "HS256", "--jwt-claim",
            "sub=u", "-t", "a", "-m", "x", "-q", "1")
        #expect(result.status == 0)
        #expect(broker.publishes.map(\.text) == ["x"])
        await broker.stop()
    }
}

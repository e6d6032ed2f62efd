// SPDX-License-Identifier: Apache-2.0

import Foundation
import MosquittoTesting
import Testing
import Turns

@Suite("mosq doctor and tokens", .turn(.command), .timeLimit(.minutes(2)))
struct DoctorTokenTests {
    private let issuer = TestTokenIssuer()
    private let folder: TemporaryDirectory

    init() throws { folder = try TemporaryDirectory() }

    /// Examines a connection with this token. Neither it nor its signature may come out again.
    private func examine(_ token: String, _ port: Int, _ arguments: [String] = []) async throws -> DoctorRun {
        let file = try folder.write(token, to: "token")
        let flags = ["-h", "127.0.0.1", "-p", "\(port)", "-u", "dev1", "--token-file", file] + arguments
        let run = try await DoctorRun(flags)
        let text = try await MosqProcess(["doctor", "-d", "--connect-timeout", "2"] + flags).result()
        let signature = try #require(token.split(separator: ".").last)
        for output in [run.output, run.errors, text.output, text.errors] {
            #expect(!output.contains(signature))
            #expect(!output.contains("eyJ"))
        }
        return run
    }

    @Test func `a token that is accepted, with its claims and times`() async throws {
        let broker = try await ScriptedBroker.start(authentication: .token(issuer, kickOnExpiry: false))
        let run = try await examine(issuer.token(lifetime: .seconds(600), audience: "mqtt"), broker.port)
        #expect(run.status == 0)
        let token = try #require(run.report["token"])
        #expect(token["kind"] == "jwt")
        #expect(token["algorithm"] == "HS256")
        #expect(token["source"] == "file")
        #expect(token["username"] == "dev1")
        #expect(token["claims"]?["aud"] == "mqtt")
        #expect(token["claims"]?["sub"] == "dev1")
        #expect(token["expiresAt"] != nil)
        await broker.stop()
    }

    @Test func `a token that has expired`() async throws {
        let broker = try await ScriptedBroker.start(authentication: .token(issuer, kickOnExpiry: false))
        let expired = issuer.token(lifetime: .seconds(300), issuedAt: Date(timeIntervalSinceNow: -900))
        let run = try await examine(expired, broker.port, ["-V", "5"])
        #expect(run.status == 1)
        #expect(run.cause("token") == "tokenExpired")
        #expect(run.words("token").contains("10 min ago"))
        // The broker's refusal is put down to it.
        #expect(run.report["connack"]?["code"] == 0x87)
        #expect(run.cause("connack") == "tokenExpired")
        await broker.stop()
    }

    @Test func `a token that is not valid yet`() async throws {
        let broker = try await ScriptedBroker.start()
        let now = Int(Date.now.timeIntervalSince1970)
        let run = try await examine(
            unsignedToken(#"{"iat":\#(now),"nbf":\#(now + 1_800),"exp":\#(now + 3_600)}"#), broker.port)
        #expect(run.status == 1)
        #expect(run.cause("token") == "tokenNotYetValid")
        #expect(run.words("token").contains("30 min"))
        #expect(broker.connects.isEmpty)
        await broker.stop()
    }

    @Test func `a clock that is off by an hour shows in the time of issue`() async throws {
        let broker = try await ScriptedBroker.start(authentication: .token(issuer, kickOnExpiry: false))
        let future = issuer.token(lifetime: .seconds(600), issuedAt: Date(timeIntervalSinceNow: 3_600))
        let run = try await examine(future, broker.port)
        // A broker whose clock is right takes the token.
        #expect(run.status == 0)
        #expect(run.status("token") == "warning")
        #expect(run.cause("token") == "clock")
        #expect(run.words("token").contains("behind by about 60 min"))
        await broker.stop()
    }

    @Test func `a token that the broker refuses although it is valid may have the wrong audience`() async throws {
        let broker = try await ScriptedBroker.start(authentication: .token(TestTokenIssuer(), kickOnExpiry: false))
        let run = try await examine(issuer.token(lifetime: .seconds(600), audience: "https://api"), broker.port)
        #expect(run.status == 1)
        #expect(run.status("token") == "ok")
        #expect(run.cause("connack") == "notAuthorized")
        let likely = try #require(run.report["connack"]?["diagnosis"]?["likely"]?[0]?.string)
        #expect(likely.contains("the audience: the token is for https://api"))
        await broker.stop()
    }

    @Test func `a broker that names the audience leaves no doubt`() async throws {
        let words = Array("invalid audience".utf8)
        let properties = [0x1F, 0, UInt8(words.count)] + words
        let connack = [0x20, UInt8(properties.count + 3), 0, 0x87, UInt8(properties.count)] + properties
        let broker = try await ScriptedBroker.start(script: [.reply(connack, close: true)])
        let run = try await examine(issuer.token(lifetime: .seconds(600), audience: "api"), broker.port, ["-V", "5"])
        #expect(run.cause("connack") == "wrongAudience")
        #expect(run.words("connack").contains("invalid audience"))
        await broker.stop()
    }

    @Test func `a token that is not to be had`() async throws {
        let broker = try await ScriptedBroker.start()
        let run = try await DoctorRun([
            "-h", "127.0.0.1", "-p", "\(broker.port)", "--token-file", folder.path + "/none",
        ])
        #expect(run.status == 1)
        #expect(run.cause("token") == "credentialsFailed")
        #expect(run.status("connack") == "skipped")
        #expect(broker.connects.isEmpty)
        await broker.stop()
    }

    @Test func `a wrong password is named, and never shown`() async throws {
        let broker = try await ScriptedBroker.start(authentication: .password("u", "right"))
        let run = try await DoctorRun(["-h", "127.0.0.1", "-p", "\(broker.port)", "-u", "u", "-P", "wr0ng-s3cret"])
        #expect(run.status == 1)
        #expect(run.report["token"]?["kind"] == "password")
        #expect(run.cause("connack") == "notAuthorized")
        #expect(!(run.output + run.errors).contains("wr0ng-s3cret"))
        await broker.stop()
    }

    @Test func `what a token says cannot steer the terminal`() async throws {
        let broker = try await ScriptedBroker.start()
        let token = unsignedToken(#"{"sub":"\u001b[2Jgone"}"#)
        let result = try await runMosq("doctor", "-h", "127.0.0.1", "-p", "\(broker.port)", "-u", "u", "-P", token)
        #expect(result.status == 0)
        #expect(result.output.contains(#"sub        \u{1B}[2Jgone"#))
        #expect(!result.output.contains("\u{1B}"))
        await broker.stop()
    }
}

import Foundation
import Mosquitto
import MosquittoTesting
import Testing

@testable import MosquittoTokens

@Suite("Tokens that a program prints", .timeLimit(.minutes(1)))
struct CommandCredentialsTests {
    private func shell(_ script: String, environment: [String: String] = [:]) -> MQTTCommandCredentials {
        MQTTCommandCredentials("/bin/sh", ["-c", script], environment: environment, username: "u")
    }

    private func failure(_ source: MQTTCommandCredentials) async -> MQTTCredentialError? {
        await #expect(throws: MQTTCredentialError.self) { try await source.credentials(for: attempt) }
    }

    @Test(arguments: ["printf token", "echo token", "printf 'token\r\n'"])
    func `a bare token, with or without the end of a line`(script: String) async throws {
        let credentials = try await shell(script).credentials(for: attempt)
        #expect(credentials.password?.text == "token")
        #expect(credentials.username == "u")
        #expect(credentials.expiresAt == nil)
    }

    @Test func `a JSON object with an expiry and a user name`() async throws {
        let json = #"{"token": "t", "expiresAt": "2030-01-02T03:04:05Z", "username": "v"}"#
        let credentials = try await shell("echo '\(json)'").credentials(for: attempt)
        #expect(credentials.password?.text == "t")
        #expect(credentials.username == "v")
        #expect(credentials.expiresAt?.timeIntervalSince1970 == 1_893_553_445)
        let fraction = try shell("").parse(#"{"token": "t", "expiresAt": "2030-01-02T03:04:05.5+00:00"}"#)
        #expect(fraction.expiresAt?.timeIntervalSince1970 == 1_893_553_445.5)
    }

    @Test(arguments: [#"{"tok": "t"}"#, "{", #"{"token": 3}"#, #"{"token": "t", "expiresAt": "soon"}"#])
    func `JSON that is not as agreed is a failure`(json: String) async {
        #expect(await failure(shell("echo '\(json)'"))?.kind == .transient(retryAfter: nil))
    }

    @Test func `arguments and environment reach it as they are`() async throws {
        let source = MQTTCommandCredentials(
            "sh", ["-c", "printf %s \"$0-$ADDED\"", "a b; $(c)"], environment: ["ADDED": "x y"])
        #expect(try await source.credentials(for: attempt).password?.text == "a b; $(c)-x y")
    }

    @Test func `a status other than zero is a failure that may pass, with what it said and no token`() async {
        let jwt = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.c2ln"
        let error = await failure(shell("echo \(jwt); echo \"no network for \(jwt)\" >&2; exit 3"))
        #expect(error?.kind == .transient(retryAfter: nil))
        #expect(error?.message.contains("no network for (redacted)") == true)
        #expect(error?.message.contains("eyJ") == false)
    }

    @Test func `a program that does not exist is permanent`() async {
        #expect(await failure(MQTTCommandCredentials("/no/such/program"))?.kind == .permanent)
        #expect(await failure(MQTTCommandCredentials("no-such-program-anywhere"))?.kind == .permanent)
    }

    @Test func `one that prints without end is stopped`() async {
        #expect(await failure(shell("yes"))?.kind == .transient(retryAfter: nil))
    }

    @Test func `cancelling it kills the program`() async throws {
        let folder = try TemporaryDirectory()
        let source = shell("echo $$ > '\(folder.path)/pid'; exec sleep 3600")
        let task = Task { try await source.credentials(for: attempt) }
        func pid() -> pid_t? {
            (try? String(contentsOfFile: folder.path + "/pid", encoding: .utf8))
                .flatMap { Int32($0.trimmingCharacters(in: .whitespacesAndNewlines)) }
        }
        #expect(await eventually { pid() != nil })
        task.cancel()
        _ = await task.result
        let process = try #require(pid())
        #expect(await eventually { kill(process, 0) != 0 })
    }
}

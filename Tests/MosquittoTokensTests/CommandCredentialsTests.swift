// SPDX-License-Identifier: Apache-2.0

import Foundation
import Mosquitto
import MosquittoTesting
import Testing
import Turns

@testable import MosquittoTokens

@Suite("Tokens that a program prints", .turn(.tokens), .timeLimit(.minutes(1)))
struct CommandCredentialsTests {
    private func shell(_ script: String, environment: [String: String] = [:]) -> MQTTCommandCredentials {
        MQTTCommandCredentials("/bin/sh", ["-c", script], environment: environment, username: "u")
    }

    private func failure(_ source: MQTTCommandCredentials) async -> MQTTCredentialError? {
        await MosquittoTokensTests.failure(of: source, hiding: ["eyJ", "s3cret"])
    }

    /// The process whose identifier is in a file, when it is there.
    private func process(_ path: String) -> pid_t? {
        (try? String(contentsOfFile: path, encoding: .utf8))
            .flatMap { pid_t($0.trimmingCharacters(in: .whitespacesAndNewlines)) }
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
    }

    @Test(arguments: ["t\n\n", "\u{FEFF}t\r\n"])
    func `a token loses a byte order mark and newlines (case 11)`(text: String) throws {
        #expect(try shell("").parse(text).password?.text == "t")
    }

    @Test(arguments: ["Bearer s3cret\n", "'s3cret'", "s3cret "])
    func `a token with text around it is refused, and says what (case 11)`(text: String) throws {
        let error = #expect(throws: MQTTCredentialError.self) { try shell("").parse(text) }
        #expect(error?.message.hasPrefix("the token ") == true)
        #expect(error?.message.contains("s3cret") == false)
    }

    @Test(arguments: [
        ("2030-01-02T03:04:05Z", 1_893_553_445), ("2030-01-02T03:04:05.5+00:00", 1_893_553_445.5),
        ("2030-01-02T05:04:05+02:00", 1_893_553_445), ("2030-01-01T19:34:05.25-07:30", 1_893_553_445.25),
    ])
    func `an expiry is a time of RFC 3339`(text: String, seconds: Double) throws {
        let credentials = try shell("").parse(#" {"token": "t", "expiresAt": "\#(text)"}"# + "\n")
        #expect(credentials.expiresAt?.timeIntervalSince1970 == seconds)
    }

    @Test func `nanoseconds, as Go prints them, are a time too`() throws {
        let credentials = try shell("").parse(#"{"token": "t", "expiresAt": "2030-01-02T03:04:05.123456789Z"}"#)
        let seconds = try #require(credentials.expiresAt).timeIntervalSince1970
        #expect(abs(seconds - 1_893_553_445.123) < 0.001)
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

    @Test func `neither what it was given nor a long word shows`() async {
        let long = String(repeating: "k", count: 41)
        let error = await failure(
            shell("echo \"key $KEY is \(long)\" >&2; exit 1", environment: ["KEY": "s3cret"]))
        #expect(error?.message.hasSuffix(": key (redacted) is (redacted)") == true)
    }

    @Test func `an argument that it repeats does not show`() async {
        let source = MQTTCommandCredentials(
            "sh",
            ["-c", "echo \"login failed: $1 $2 $0\" >&2; exit 1", "hunter1secret", "--password", "--pin=hunter2secret"])
        let error = await failure(source)
        #expect(error?.message.contains("hunter") == false)
        #expect(error?.message.hasSuffix("login failed: --password --pin=(redacted) (redacted)") == true)
    }

    @Test func `it may say much on standard error, of which little is shown`() async throws {
        let noise = "i=0; while [ $i -lt 20000 ]; do echo noise $i >&2; i=$((i+1)); done"
        var (good, bad) = (shell("\(noise); echo token"), shell("\(noise); exit 1"))
        (good.timeout, bad.timeout) = (.seconds(60), .seconds(60))
        #expect(try await good.credentials(for: attempt).password?.text == "token")
        let error = await failure(bad)
        #expect((error?.message.count ?? 1_000) < 500)
    }

    #if os(Linux)
    // libmosquitto 2.0 makes two descriptors for each client that are not closed on exec.
    @Test func `it inherits no descriptor, not even one that is not closed on exec (core 32)`() async throws {
        var ends: [Int32] = [-1, -1]
        try #require(pipe(&ends) == 0)
        defer { for end in ends { close(end) } }
        let script = "[ -e /proc/self/fd/\(ends[0]) ] || [ -e /proc/self/fd/\(ends[1]) ] && echo inherited || echo none"
        #expect(try await shell(script).credentials(for: attempt).password?.text == "none")
    }
    #endif

    @Test func `its environment can be its own alone`() async throws {
        var source = MQTTCommandCredentials("/usr/bin/env", environment: ["ONLY": "this"])
        source.inheritsEnvironment = false
        #expect(try await source.credentials(for: attempt).password?.text == "ONLY=this")
    }

    @Test func `a program that does not exist is permanent`() async {
        #expect(await failure(MQTTCommandCredentials("/no/such/program"))?.kind == .permanent)
        #expect(await failure(MQTTCommandCredentials("no-such-program-anywhere"))?.kind == .permanent)
        #expect(await failure(MQTTCommandCredentials(""))?.kind == .permanent)
    }

    @Test func `a script of one's own, and one that is no program yet`() async throws {
        let folder = try TemporaryDirectory()
        let path = try folder.write("#!/bin/sh\nprintf %s \"$1\"\n", to: "helper")
        #expect(await failure(MQTTCommandCredentials(path, ["t"]))?.kind == .permanent)
        #expect(chmod(path, 0o700) == 0)
        #expect(try await MQTTCommandCredentials(path, ["t"]).credentials(for: attempt).password?.text == "t")
    }

    @Test func `one that prints without end is stopped`() async {
        let error = await failure(shell("yes"))
        #expect(error?.kind == .transient(retryAfter: nil))
        #expect(error?.message.contains("more than 65536 bytes") == true)
    }

    @Test(arguments: ["", "printf 'a\\nb'", "printf 'a\\000b'", "printf '\\377'", "printf '\\n\\n'"])
    func `what is no token is not sent`(script: String) async {
        #expect(await failure(shell(script))?.kind == .transient(retryAfter: nil))
    }

    @Test func `a token of full length arrives whole, again and again`() async throws {
        let length = 65_535
        for _ in 0..<20 {
            let source = shell("head -c \(length) /dev/zero | tr '\\0' x; echo")
            let credentials = try await source.credentials(for: attempt)
            #expect(credentials.password?.text.utf8.count == length)
        }
    }

    @Test func `one that takes too long is killed with its children, though it does not want to go`() async throws {
        let folder = try TemporaryDirectory()
        var source = shell(
            """
            trap '' TERM
            sleep 3600 &
            echo $! > '\(folder.path)/child'
            echo $$ > '\(folder.path)/parent'
            while :; do sleep 3600; done
            """)
        source.timeout = .seconds(5)
        let error = await failure(source)
        #expect(error?.kind == .transient(retryAfter: nil))
        #expect(error?.message == "the program \"/bin/sh\" took longer than 5.0 seconds")
        let parent = try #require(process(folder.path + "/parent"))
        let child = try #require(process(folder.path + "/child"))
        #expect(await eventually { kill(parent, 0) != 0 && kill(child, 0) != 0 })
    }

    @Test func `what it leaves behind is not waited for`() async throws {
        let folder = try TemporaryDirectory()
        let source = shell("sleep 3600 & echo $! > '\(folder.path)/pid'; echo token")
        let started = ContinuousClock.now
        #expect(try await source.credentials(for: attempt).password?.text == "token")
        #expect(ContinuousClock.now - started < .seconds(8))
        kill(try #require(process(folder.path + "/pid")), SIGKILL)
    }

    @Test func `cancelling it kills the program`() async throws {
        let folder = try TemporaryDirectory()
        let path = folder.path + "/pid"
        let source = shell("echo $$ > '\(path)'; exec sleep 3600")
        let task = Task { try await source.credentials(for: attempt) }
        #expect(await eventually { process(path) != nil })
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
        let killed = try #require(process(path))
        #expect(await eventually { kill(killed, 0) != 0 })
    }

    @Test func `nothing of a source shows a secret`() {
        let shown = output(
            of: MQTTCommandCredentials("helper", ["--key=s3cret"], environment: ["KEY": "s3cret"], username: "u"))
        #expect(!shown.contains("s3cret"))
        #expect(shown.contains("helper"))
    }
}

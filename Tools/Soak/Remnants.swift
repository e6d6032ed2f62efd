// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Mosquitto
import MosquittoTesting

#if os(Linux)
import Foundation
import Glibc

extension MemorySearch.Found {
    /// True for the DER of the key. OpenSSL 3.0 decodes a key in memory that it frees without overwriting it; the key
    /// itself, a number, is overwritten.
    var isOfDecoder: Bool { needle == "the key" }
}

/// Copies of the private key and of the token in the memory of a process whose client has ended.
struct Remnants: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Searches the memory of a process for its private key and its token, before and after shutdown().")

    @Option(help: "How many connections are made, each with a publish.")
    var connections = 3

    @Flag(help: "Waits for a line of standard input at the end, for gcore and strings.")
    var waits = false

    func run() async throws {
        let found = try await Self.find(connections: connections)
        var bounds = Bounds()
        bounds.check(found.before.count > 1, "while it is connected, there are \(found.before.count) copies")
        for place in found.before { print("       \(place)") }
        let own = found.after.filter { !$0.isOfDecoder }
        bounds.check(own.isEmpty, "after shutdown(), with the client still there, \(own.count) copies")
        print("       and \(found.after.count - own.count) in memory that OpenSSL's decoder has freed")
        for place in found.after { print("       \(place)") }
        if waits {
            print("process \(getpid()) waits")
            _ = readLine()
        }
        try bounds.enforce()
    }

    /// The copies while a client is connected, and after its shutdown. The broker is another process, and `openssl` has
    /// made key and token: this process has only what the client has read.
    static func find(connections: Int) async throws -> (before: [MemorySearch.Found], after: [MemorySearch.Found]) {
        let folder = try TemporaryDirectory()
        try await prepare(folder)
        let broker = try await LocalMosquitto.start(
            extraConfiguration: """
                certfile \(folder.path)/server.pem
                keyfile \(folder.path)/server.key
                cafile \(folder.path)/ca.pem
                require_certificate true
                password_file \(folder.path)/passwords
                """, anonymous: false)
        let signals = EndingSignals { broker.kill() }
        defer { withExtendedLifetime(signals) {} }
        let search = try MemorySearch()
        try search.add("the token", file: folder.path + "/token", from: 0, count: 64)
        // PKCS #8 of P-256 has the key at 36.
        try search.add("the key", file: folder.path + "/client.der", from: 36, count: 32, reversed: true)
        // The first line of its Base64.
        try search.add("the key's PEM", file: folder.path + "/client.key", from: 28 + 40, count: 60)

        var tls = MQTTTLSConfiguration(trust: .file(folder.path + "/ca.pem"))
        tls.identity = .files(certificate: folder.path + "/client.pem", key: folder.path + "/client.key")
        var configuration = MQTTClientConfiguration(host: "localhost", port: broker.port, tls: tls)
        configuration.credentials = .file(folder.path + "/token", username: "device")
        let client = MQTTClient(configuration, logger: .criticalOnly)
        try await client.start()
        for _ in 0..<connections {
            try await client.waitUntilConnected(timeout: .seconds(30))
            try await client.publish("x", to: "t", qos: .atLeastOnce)
            try await client.rotateIdentity()
        }
        try await client.waitUntilConnected(timeout: .seconds(30))
        let before = try search.find()
        try? await client.shutdown()
        // The last tasks of the client end after it.
        var after = try search.find()
        _ = await eventually(timeout: .seconds(5)) {
            after = (try? search.find()) ?? []
            return after.allSatisfy(\.isOfDecoder)
        }
        withExtendedLifetime(client) {}
        await broker.terminate()
        return (before, after)
    }

    private static func prepare(_ folder: TemporaryDirectory) async throws {
        let script = """
            set -e
            cd "$1"
            new() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1.key"; }
            for name in ca server client; do new "$name"; done
            openssl req -x509 -new -key ca.key -days 2 -subj /CN=ca -out ca.pem
            for name in server client; do
                openssl req -x509 -new -key "$name.key" -CA ca.pem -CAkey ca.key -days 2 -subj "/CN=$name" \
                    -addext subjectAltName=DNS:localhost -addext basicConstraints=critical,CA:false -out "$name.pem"
            done
            openssl pkcs8 -topk8 -nocrypt -in client.key -outform der -out client.der
            openssl rand -hex 32 >token
            mosquitto_passwd -b -c passwords device "$(cat token)"
            chmod 644 passwords
            touch complete
            """
        let process = try ChildProcess(
            executable: "/usr/bin/env", arguments: ["bash", "-c", script, "prepare", folder.path],
            .init(output: folder.path + "/log"))
        _ = await eventually(timeout: .seconds(60)) { !process.isRunning }
        guard access(folder.path + "/complete", F_OK) == 0 else {
            throw SoakFailure("no keys: \((try? String(contentsOfFile: folder.path + "/log", encoding: .utf8)) ?? "")")
        }
    }
}
#endif

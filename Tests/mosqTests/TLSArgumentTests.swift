// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Mosquitto
import MosquittoTesting
import Testing
import Turns

@testable import mosq

@Suite("Arguments of TLS", .turn(.arguments))
struct TLSArgumentTests {
    private func configuration(_ arguments: String...) throws -> MQTTClientConfiguration {
        try configuration(arguments)
    }

    private func configuration(_ arguments: [String]) throws -> MQTTClientConfiguration {
        try ConnectionOptions.read(arguments).configuration(.publish)
    }

    @Test func `each flag sets its option`() throws {
        let insecure = try configuration("--cafile", "/dev/null", "--insecure").tls
        #expect(insecure?.verification == .withoutHostName)
        let directory = try configuration("--capath", "/tmp")
        #expect(directory.endpoints[0].port == 8_883)
        #expect(directory.tls?.trust.description == "directory \"/tmp\"")
        let both = try configuration("--cafile", "/dev/null", "--capath", "/tmp").tls
        #expect(both?.trust.description == "file \"/dev/null\" and directory \"/tmp\"")
        let all = try configuration(
            "--cafile", "/dev/null", "--ciphers", "ECDHE+AESGCM", "--tls-version", "tlsv1.3", "--tls-alpn", "mqtt",
            "--tls-keylog", "/tmp/keys", "--tls-server-name", "broker.example", "--tls-accept-common-name"
        ).tls
        #expect(all?.serverName == "broker.example")
        #expect(all?.acceptsCommonName == true && both?.acceptsCommonName == false)
        #expect(all?.ciphers == "ECDHE+AESGCM")
        #expect(all?.minimumVersion == .v1_3)
        #expect(all?.applicationProtocols == ["mqtt"])
        #expect(all?.keyLogFile == "/tmp/keys")
        #expect(all?.verification == .full)
    }

    @Test func `a pre-shared key takes the place of certificates`() throws {
        let configuration = try configuration("--psk", "0a1b0a1b0a1b0a1b0a1b0a1b0a1b0a1b", "--psk-identity", "dev1")
        #expect(configuration.endpoints[0].port == 8_883)
        #expect(configuration.tls?.preSharedKey?.identity == "dev1")
        #expect(
            configuration.tls?.preSharedKey?.key == MQTTSecret(bytes: (0..<8).flatMap { _ in [10, 27] as [UInt8] }))
    }

    @Test func `a key in an engine is no file`() throws {
        let tls = try configuration(
            "--cafile", "/dev/null", "--cert", "/dev/null", "--key", "pkcs11:object=k", "--keyform", "engine",
            "--tls-engine", "pkcs11"
        ).tls
        #expect(tls?.identity?.description == "client certificate \"/dev/null\"")
    }

    @Test(arguments: [
        ["--key", "pkcs11:object=k"], ["--key", "pkcs11:object=k", "--keyform", "uri"],
        ["--key", "handle:0x81000001", "--keyform", "uri"],
    ])
    func `a key in a provider of OpenSSL is no file either`(arguments: [String]) throws {
        let tls = try configuration(["--cafile", "/dev/null", "--cert", "/dev/null"] + arguments).tls
        #expect(tls?.identity?.description == "client certificate \"/dev/null\"")
        // A form of its own makes a file of it.
        #expect(throws: CommandFailure.self) {
            try configuration(["--cert", "/dev/null", "--key", "pkcs11:object=k", "--keyform", "pem"])
        }
    }

    @Test func `a post-quantum key exchange is required on request`() throws {
        #expect(try configuration("--cafile", "/dev/null", "--tls-post-quantum").tls?.requiresPostQuantum == true)
        #expect(try configuration("--cafile", "/dev/null").tls?.requiresPostQuantum == false)
    }

    // The words of mosquitto_pub.
    @Test(arguments: [
        (["--psk", "00"], "--psk-identity required if --psk used."),
        (["--psk", "0", "--psk-identity", "i"], "Problem setting TLS-PSK options."),
        (
            ["--psk", "00", "--psk-identity", "i", "--cafile", "/dev/null"],
            "Only one of --psk or --cafile/--capath may be used at once."
        ),
        (["--keyform", "pem"], "If keyform is set, keyfile must be also specified."),
        (["--capath", "/does/not/exist"], "Problem setting TLS options: File not found: --capath /does/not/exist"),
        (
            ["--cert", "/dev/null", "--key", "/dev/null", "--keyform", "der"],
            "Problem setting key form, it must be one of 'pem', 'engine' or 'uri'."
        ),
    ])
    func `what does not go together is refused`(arguments: [String], message: String) throws {
        let failure = try #require(throws: CommandFailure.self) {
            try ConnectionOptions.read(arguments).configuration(.publish)
        }
        #expect(failure.lines.joined() == "Error: " + message)
    }

    /// mosquitto_pub sends the password in the clear then, and says nothing.
    @Test(arguments: [
        ["--insecure"], ["--tls-version", "tlsv1.3"], ["--ciphers", "HIGH"], ["--tls-alpn", "mqtt"],
        ["--tls-keylog", "/tmp/keys"], ["--tls-engine", "pkcs11"], ["--psk-identity", "i"], ["--tls-post-quantum"],
    ])
    func `a flag that would do nothing without TLS is a mistake`(arguments: [String]) throws {
        for more in [[], ["-p", "1883"], ["--no-tls", "-p", "8883"]] {
            let failure = #expect(throws: CommandFailure.self) {
                try ConnectionOptions.read(arguments + more).configuration(.publish)
            }
            let line = failure?.lines.joined() ?? ""
            #expect(line.contains(arguments[0]) && line.contains("TLS") || line.contains("exclude"), "\(line)")
        }
        let tls = try configuration(arguments[0] == "--psk-identity" ? ["-p", "8883"] : arguments + ["-p", "8883"])
        #expect(tls.tls != nil)
    }

    @Test func `plain TCP to a port of TLS has to be written out`() throws {
        for arguments in [["-p", "1883", "--endpoint", "other:8883"], ["--endpoint", "other:8883"]] {
            #expect(throws: CommandFailure.self) {
                try ConnectionOptions.read(arguments).configuration(.publish)
            }
            #expect(try configuration(arguments + ["--no-tls"]).tls == nil)
        }
    }

    @Test func `a pre-shared key may be in a file`() throws {
        let folder = try TemporaryDirectory()
        let path = try folder.write("0a1b0a1b0a1b0a1b0a1b0a1b0a1b0a1b\n", to: "key")
        let configuration = try configuration("--psk-file", path, "--psk-identity", "dev1")
        #expect(configuration.endpoints[0].port == 8_883)
        #expect(
            configuration.tls?.preSharedKey?.key == MQTTSecret(bytes: (0..<8).flatMap { _ in [10, 27] as [UInt8] }))
        #expect(throws: CommandFailure.self) {
            try ConnectionOptions.read(["--psk-file", path, "--psk", "00", "--psk-identity", "i"])
                .configuration(.publish)
        }
    }

    @Test func `a message goes to a real mosquitto with a pre-shared key, and one with another key does not`()
        async throws
    {
        let folder = try TemporaryDirectory()
        let keys = try folder.write("dev1:0a1b2c3d4e5f0a1b2c3d4e5f0a1b2c3d4e5f\n", to: "keys")
        let broker = try await LocalMosquitto.start(extraConfiguration: "psk_hint test\npsk_file \(keys)\n")
        let arguments = [
            "pub", "-p", "\(broker.port)", "-t", "a", "-m", "x", "-q", "1", "--psk-identity", "dev1", "--psk",
        ]
        let good = try await MosqProcess(arguments + ["0a1b2c3d4e5f0a1b2c3d4e5f0a1b2c3d4e5f"]).result()
        #expect(good.status == 0, "\(good.errors)")
        let bad = try await MosqProcess(arguments + ["000000000000000000000000000000000000"]).result()
        #expect(bad.status != 0)
        #expect(bad.errors.contains("pre-shared key"), "\(bad.errors)")
    }
}

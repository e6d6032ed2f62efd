import ArgumentParser
import Mosquitto
import MosquittoTesting
import Testing

@testable import mosq

@Suite("Arguments of TLS")
struct TLSArgumentTests {
    private func configuration(_ arguments: String...) throws -> MQTTClientConfiguration {
        try ConnectionOptions.parse(arguments).configuration(.publish)
    }

    @Test func `each flag sets its option`() throws {
        let insecure = try configuration("--cafile", "/dev/null", "--insecure").tls
        #expect(insecure?.verification == .withoutHostName)
        #expect(try configuration("--insecure").tls == nil)
        let directory = try configuration("--capath", "/tmp")
        #expect(directory.endpoints[0].port == 8_883)
        #expect(directory.tls?.trust.description == "directory \"/tmp\"")
        let both = try configuration("--cafile", "/dev/null", "--capath", "/tmp").tls
        #expect(both?.trust.description == "file \"/dev/null\" and directory \"/tmp\"")
        let all = try configuration(
            "--cafile", "/dev/null", "--ciphers", "ECDHE+AESGCM", "--tls-version", "tlsv1.3", "--tls-alpn", "mqtt",
            "--tls-keylog", "/tmp/keys", "--tls-server-name", "broker.example"
        ).tls
        #expect(all?.serverName == "broker.example")
        #expect(all?.ciphers == "ECDHE+AESGCM")
        #expect(all?.minimumVersion == .v1_3)
        #expect(all?.applicationProtocols == ["mqtt"])
        #expect(all?.keyLogFile == "/tmp/keys")
        #expect(all?.verification == .full)
    }

    @Test func `a pre-shared key takes the place of certificates`() throws {
        let configuration = try configuration("--psk", "0a1b", "--psk-identity", "dev1")
        #expect(configuration.endpoints[0].port == 8_883)
        #expect(configuration.tls?.preSharedKey?.identity == "dev1")
        #expect(configuration.tls?.preSharedKey?.key == MQTTSecret(bytes: [10, 27]))
    }

    @Test func `a key in an engine is no file`() throws {
        let tls = try configuration(
            "--cafile", "/dev/null", "--cert", "/dev/null", "--key", "pkcs11:object=k", "--keyform", "engine",
            "--tls-engine", "pkcs11"
        ).tls
        #expect(tls?.identity?.description == "client certificate \"/dev/null\"")
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
            "Problem setting key form, it must be one of 'pem' or 'engine'."
        ),
    ])
    func `what does not go together is refused`(arguments: [String], message: String) throws {
        let failure = try #require(throws: CommandFailure.self) {
            try ConnectionOptions.parse(arguments).configuration(.publish)
        }
        #expect(failure.lines.joined() == "Error: " + message)
    }

    @Test func `a message goes to a real mosquitto with a pre-shared key, and one with another key does not`()
        async throws
    {
        let folder = try TemporaryDirectory()
        let keys = try folder.write("dev1:0a1b2c3d4e5f\n", to: "keys")
        let broker = try await LocalMosquitto.start(extraConfiguration: "psk_hint test\npsk_file \(keys)\n")
        let arguments = [
            "pub", "-p", "\(broker.port)", "-t", "a", "-m", "x", "-q", "1", "--psk-identity", "dev1", "--psk",
        ]
        let good = try await MosqProcess(arguments + ["0a1b2c3d4e5f"]).result()
        #expect(good.status == 0, "\(good.errors)")
        let bad = try await MosqProcess(arguments + ["000000000000"]).result()
        #expect(bad.status != 0)
        #expect(bad.errors.contains("pre-shared key"), "\(bad.errors)")
    }
}

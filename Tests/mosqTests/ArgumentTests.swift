// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Mosquitto
import MosquittoTesting
import Testing
import Turns

@testable import mosq

@Suite("Arguments", .turn(.arguments))
struct ArgumentTests {
    private func configuration(
        _ arguments: String..., behavior: CommandBehavior = .publish
    ) throws -> MQTTClientConfiguration {
        try ConnectionOptions.read(arguments).configuration(behavior)
    }

    /// Returns the error message for invalid arguments; `nil` if they are valid.
    private func complaint(_ arguments: [String]) -> String? {
        do {
            _ = try ConnectionOptions.read(arguments).configuration(.publish)
            return nil
        } catch let failure as CommandFailure {
            return failure.lines.joined(separator: "\n")
        } catch {
            return "Error: \(ConnectionOptions.message(for: error))"
        }
    }

    @Test func `without flags the connection is the one of mosquitto's commands`() throws {
        let configuration = try configuration()
        #expect(configuration.endpoints == [MQTTEndpoint(host: "localhost", port: 1_883)])
        #expect(configuration.tls == nil)
        #expect(configuration.version == .v3_1_1)
        #expect(configuration.keepAlive == .seconds(60))
        #expect(configuration.session == .clean)
        #expect(configuration.publishing.maximumInFlight == 20)
        #expect(configuration.credentials == nil)
        #expect(configuration.will == nil)
        #expect(configuration.timeouts.attempt == .seconds(10))
        // MQTT 3.1.1, section 3.1.3.1: every broker takes 23 of these characters.
        #expect((1...23).contains(configuration.clientID?.count ?? 0))
    }

    @Test func `short and long names are the same`() throws {
        let short = try Pub.read(
            ["-h", "h", "-p", "1", "-i", "i", "-k", "5", "-q", "1", "-V", "5", "-t", "t", "-m", "m", "-r", "-c"])
        let long = try Pub.read([
            "--host", "h", "--port", "1", "--id", "i", "--keepalive", "5", "--qos", "1", "--protocol-version", "mqttv5",
            "--topic", "t", "--message", "m", "--retain", "--disable-clean-session",
        ])
        for command in [short, long] {
            let configuration = try command.connection.configuration(.publish)
            #expect(configuration.endpoints == [MQTTEndpoint(host: "h", port: 1)])
            #expect(configuration.clientID == "i")
            #expect(configuration.keepAlive == .seconds(5))
            #expect(configuration.version == .v5_0)
            #expect(configuration.session == .persistent(expiry: .seconds(UInt32.max)))
            #expect(try command.connection.messageQoS == .atLeastOnce)
            #expect(command.topic == "t")
            #expect(command.source.message == ["m"])
            #expect(command.retain)
        }
        #expect(throws: Never.self) {
            try Pub.read(["--file", "f", "--null-message", "--stdin-line", "--stdin-file"])
        }
        #expect(throws: Never.self) {
            try Sub.read(["--topic", "a", "--filter-out", "b", "--verbose", "--username", "u", "--pw", "p", "--debug"])
        }
    }

    @Test func `a value may begin with a dash`() throws {
        let pub = try Pub.read(["-t", "-t", "-m", "-5", "--will-topic", "w", "--will-payload", "--x", "-P", "-p"])
        #expect(pub.topic == "-t")
        #expect(pub.source.message == ["-5"])
        #expect(pub.connection.will.payload == "--x")
        #expect(pub.connection.password == "-p")
        #expect(try Sub.read(["-t", "-a", "-t", "-b"]).topics == ["-a", "-b"])
    }

    @Test func `a Unix socket takes the place of host and port`() throws {
        #expect(try configuration("--unix", "/run/mqtt.sock").endpoints == [.unixSocket("/run/mqtt.sock")])
        let withTLS = try #require(complaint(["--unix", "/s", "--cafile", "/dev/null"]))
        #expect(withTLS.contains("unix:/s"))
    }

    @Test func `so does the host, if the port is 0`() throws {
        #expect(try configuration("-h", "/run/mqtt.sock", "-p", "0").endpoints == [.unixSocket("/run/mqtt.sock")])
    }

    @Test func `a proxy and an address of this machine are on the way to the broker`() throws {
        let proxy = try configuration("--proxy", "socks5h://me:a%40b%3a%25@proxy:99", "-A", "127.0.0.1")
        #expect(proxy.connection.proxy?.host == "proxy")
        #expect(proxy.connection.proxy?.port == 99)
        #expect(proxy.connection.proxy?.username == "me")
        #expect(proxy.connection.proxy?.password == "a@b:%")
        #expect(proxy.connection.localAddress == "127.0.0.1")
        let web = try configuration("--proxy", "http://me:a%2fb@proxy:99").connection.proxy
        #expect(web?.kind == .http && web?.port == 99 && web?.username == "me" && web?.password == "a/b")
        #expect(try configuration("--proxy", "http://proxy").connection.proxy?.port == 80)
        let secure = try configuration("--proxy", "https://me@proxy", "--proxy-cafile", "ca.pem").connection.proxy
        #expect(secure?.kind == .https && secure?.port == 443 && secure?.username == "me")
        #expect(secure?.tls.trust.description == "file \"ca.pem\"")
        let short = try configuration("--proxy", "socks5h://proxy").connection.proxy
        #expect(short?.port == 1_080)
        #expect(short?.username == nil)
    }

    @Test func `a WebSocket has the port of the web, with a path, headers and a file of headers`() throws {
        let plain = try configuration("--ws", "-h", "a")
        #expect(plain.endpoints == [.webSocket(host: "a")] && plain.tls == nil)
        let secure = try configuration("--ws", "-h", "a", "--tls-use-os-certs", "--endpoint", "b:8443")
        #expect(secure.endpoints == [.secureWebSocket(host: "a"), .secureWebSocket(host: "b", port: 8_443)])
        let folder = try TemporaryDirectory()
        let file = try folder.write("X-B: two:2\n\nAuthorization: Bearer jwt\n", to: "headers")
        let full = try configuration(
            "--ws", "-p", "8080", "--ws-path", "/x?a=b", "--ws-header", "X-A:one", "--ws-header-file", file)
        #expect(full.endpoints == [.webSocket(host: "localhost", port: 8_080, path: "/x", query: "a=b")])
        #expect(
            full.webSocket.headers == [
                MQTTWebSocketHeader("X-A", "one"), MQTTWebSocketHeader("X-B", "two:2"),
                MQTTWebSocketHeader("Authorization", "Bearer jwt"),
            ])
    }

    @Test func `a file turns TLS on, and so do the system's certificates and port 8883`() throws {
        let file = try configuration("--cafile", "/dev/null")
        #expect(file.endpoints[0].port == 8_883)
        #expect(file.tls?.trust.description == "file \"/dev/null\"")
        let system = try configuration("--tls-use-os-certs")
        #expect(system.endpoints[0].port == 1_883)
        #expect(system.tls?.trust.description == "the system's authorities")
        #expect(try configuration("-p", "8883").tls?.trust.description == "the system's authorities")
        #expect(try configuration("-p", "8884").tls == nil)
        #expect(try configuration("-p", "8883", "--no-tls").tls == nil)
        let identity = try configuration("--cert", "/dev/null", "--key", "/dev/null")
        #expect(identity.endpoints[0].port == 8_883)
        #expect(identity.tls?.identity != nil)
    }

    @Test(arguments: [
        (["--tls-engine-kpass-sha1", "e"], "kpass"), (["-S"], "-S"),
        (["--ws", "--unix", "/run/a"], "--ws and --unix"), (["--ws-path", "/x"], "--ws-path needs --ws"),
        (["--ws-header", "a: b"], "--ws-header needs --ws"),
        (["--ws-header-file", "/x"], "--ws-header-file needs --ws"),
        (["--ws", "--ws-header", "geheim"], "NAME: VALUE"),
        (["--ws", "--ws-header-file", "/nonexistent"], "/nonexistent"),
        (["--tls-version", "tlsv1.1"], "RFC 8996"),
    ])
    func `what cannot be honoured is refused with a reason`(arguments: [String], reason: String) throws {
        let complaint = try #require(self.complaint(arguments))
        #expect(complaint.hasPrefix("Error: "))
        #expect(complaint.contains(reason))
        #expect(!complaint.contains("\n"))
    }

    @Test(arguments: [["--watch"], ["-w"], ["--message-rate"]])
    func `so it is with what only a subscriber has`(arguments: [String]) {
        #expect(throws: CommandFailure.self) { try Sub.read(["-t", "a"] + arguments).refused.check() }
    }

    @Test func `so it is with what only a request has`() {
        let arguments = ["-t", "a", "-e", "b", "-m", "c", "--latency"]
        #expect(throws: CommandFailure.self) { try Rr.read(arguments).refused.check() }
    }

    @Test(arguments: [
        (["-p", "-1"], "Invalid port given: -1"), (["-p", "65536"], "Invalid port given: 65536"),
        (["-k", "4"], "Invalid keepalive given"), (["-M", "0"], "Maximum inflight messages"),
        (["-V", "4"], "Invalid protocol version argument given."), (["-i", "a", "-I", "b"], "cannot be used together"),
        (["--cert", "/dev/null"], "Both certfile and keyfile must be provided"),
        (["--cafile", "/nonexistent"], "File not found: --cafile /nonexistent"),
        (["--will-payload", "x"], "Will payload given, but no will topic given."),
        (["--will-retain"], "Will retain given, but no will topic given."),
        (["--will-topic", "a/#"], "Invalid will topic 'a/#'"),
        (["--will-topic", "a", "--will-qos", "3"], "will QoS 3"),
        (["-P", "x"], "Problem setting username and/or password."), (["-h", ""], "host is empty"),
        (["-h", "a b"], "bare name"), (["-i", ""], "clientID is empty"),
        (["--proxy", "ftp://p"], "Unsupported proxy protocol."),
        (["--proxy", "http://"], "the proxy's host is empty"), (["--proxy", "http://p:x"], "port"),
        (["--proxy", "http://p/path"], "the proxy's URL has a path"),
        (["--proxy", "socks5://user:secret@host"], "Unsupported proxy protocol."),
        (["--proxy", "socks5h://"], "Invalid proxy."),
        (["--proxy", "socks5h://p:0"], "Invalid proxy port."), (["--proxy", "socks5h://u%41@p"], "Invalid proxy."),
        (["-A", "no.such.host.invalid"], "-A no.such.host.invalid"),
        (["--no-tls", "--cafile", "/dev/null"], "--no-tls"),
    ])
    func `a mistake is told in one line`(arguments: [String], text: String) throws {
        let complaint = try #require(self.complaint(arguments))
        #expect(complaint.hasPrefix("Error: "))
        #expect(complaint.contains(text))
        #expect(!complaint.contains("\n"))
    }

    @Test func `an unknown flag is named`() {
        #expect(complaint(["--foo"])?.hasPrefix("Error: Unknown option '--foo'") == true)
    }

    @Test func `a will is as it was given`() throws {
        let will = try configuration(
            "--will-topic", "w", "--will-payload", "gone", "--will-qos", "2", "--will-retain"
        ).will
        #expect(will?.topic == "w")
        #expect(will?.payload == Array("gone".utf8))
        #expect(will?.qos == .exactlyOnce)
        #expect(will?.retain == true)
        #expect(try configuration("--will-topic", "w").will?.qos == .atMostOnce)
    }

    @Test func `the messages of pub come from one source`() throws {
        func payload(_ arguments: String...) throws -> PayloadOptions.Payload? {
            try Pub.read(arguments).payload()
        }
        guard case .once(Array("x".utf8)) = try payload("-m", "x") else {
            Issue.record("not the text")
            return
        }
        guard case .once([]) = try payload("-n") else {
            Issue.record("not nothing")
            return
        }
        guard case .lines = try payload("-l") else {
            Issue.record("not lines")
            return
        }
        #expect(try payload() == nil)
        #expect(throws: CommandFailure.self) { try payload("-m", "x", "-n") }
        #expect(throws: CommandFailure.self) { try payload("-m", "x", "-m", "y") }
        #expect(throws: CommandFailure.self) { try payload("-f", "/nonexistent") }
    }
}

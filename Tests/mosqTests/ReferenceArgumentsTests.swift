// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Mosquitto
import Testing
import Turns

@testable import mosq

@Suite("Arguments as mosquitto's commands take them", .turn(.arguments))
struct ReferenceArgumentsTests {
    private func words(_ arguments: [String], of command: ReferenceCommand? = .pub) throws -> [String] {
        var reference = ReferenceArguments(of: command)
        try reference.take(arguments)
        return reference.words
    }

    private func complaint(_ arguments: [String], of command: ReferenceCommand = .pub) -> String? {
        do {
            _ = try words(arguments, of: command)
            return nil
        } catch let failure as CommandFailure {
            #expect(failure.status == 1)
            #expect(failure.pointsToHelp)
            return failure.lines.joined(separator: "\n")
        } catch {
            return "\(error)"
        }
    }

    private func configuration(_ arguments: [String]) throws -> MQTTClientConfiguration {
        try ConnectionOptions.read(try words(arguments, of: nil)).configuration(.publish)
    }

    @Test func `an option takes the next word, whatever it is`() throws {
        #expect(try words(["-t", "-m", "-m", "--help"]) == ["-t", "-m", "-m", "--help"])
        #expect(try words(["--token-file", "-D", "--retry"]) == ["--token-file", "-D", "--retry"])
    }

    @Test(arguments: [
        (["-A"], "-A argument given but no address specified."),
        (["-m"], "-m argument given but no message specified."),
        (["--message"], "-m argument given but no message specified."),
        (["-M"], "-M argument given but max_inflight not specified."),
        (["-V"], "--protocol-version argument given but no version specified."),
        (["--will-qos"], "--will-qos argument given but no will QoS specified."),
        (["-D", "publish", "content-type"], "--property argument given but not enough arguments specified."),
        (["-D", "publish", "user-property", "a"], "--property argument given but not enough arguments specified."),
        (["-t", "a", "b"], "Unknown option 'b'."), ([""], "Unknown option ''."), (["-"], "Unknown option '-'."),
        (["--"], "Unknown option '--'."),
        (["-C", "1"], "Unknown option '-C'."), (["-q", "x"], "-q argument must be a number, not 'x'."),
        (["-L", "http://h/t"], "unsupported URL scheme."),
        (["-L", "mqtt://h"], "Invalid URL for -L argument specified - topic missing."),
        (["-L", "mqtt://h:x/t"], "Invalid URL for -L argument specified - port is not a number."),
    ])
    func `a mistake is told in mosquitto's words`(arguments: [String], text: String) {
        #expect(complaint(arguments) == "Error: " + text)
    }

    @Test func `numbers may have spaces and a sign, as atoi takes them`() throws {
        #expect(try words(["-p", " 1 ", "-k", "+5"]) == ["-p", "1", "-k", "5"])
    }

    @Test func `a URL is host, port, name, password and topic`() throws {
        #expect(
            try words(["-L", "mqtt://h/a/b"]) == ["--topic", "a/b", "--port", "1883", "--host", "h"])
        #expect(
            try words(["--url", "MQTTS://me:a:b@h:99/t"]) == [
                "--topic", "t", "--port", "8883", "--tls-use-os-certs", "--pw", "a:b", "--username", "me", "--host",
                "h",
                "--port", "99",
            ])
        #expect(
            try words(["-L", "mqtt://me@[::1]:1/t"]).suffix(6) == ["--username", "me", "--host", "::1", "--port", "1"])
        // RFC 6874 (case 17).
        #expect(try words(["-L", "mqtt://[fe80::1%25eth0]/t"]).suffix(2) == ["--host", "fe80::1%eth0"])
        #expect(try words(["-L", "ws://h/t"]) == ["--topic", "t", "--port", "80", "--ws", "--host", "h"])
        #expect(
            try words(["-L", "wss://h:1/t"])
                == ["--topic", "t", "--port", "443", "--tls-use-os-certs", "--ws", "--host", "h", "--port", "1"])
        let secure = try configuration(["-L", "mqtts://h/t"])
        #expect(secure.endpoints == [MQTTEndpoint(host: "h", port: 8_883)])
        #expect(secure.tls?.trust.description == "the system's authorities")
        // A later flag takes precedence.
        #expect(try words(["-L", "mqtt://h/t", "-h", "g"]).suffix(2) == ["-h", "g"])
    }

    @Test func `a URL is decoded if a flag says so (case 13)`() throws {
        let url = "mqtt://us%40er:p%2Fw%25%40@h/a%20b/%C3%A9"
        #expect(
            try words(["-L", url]) == [
                "--topic", "a%20b/%C3%A9", "--port", "1883", "--pw",
                "p%2Fw%25%40", "--username", "us%40er", "--host", "h",
            ])
        #expect(
            try words(["-L", url, "--url-decode"]) == [
                "--topic", "a b/é", "--port", "1883", "--pw", "p/w%@", "--username", "us@er", "--host", "h",
                "--url-decode",
            ])
        for wrong in ["mqtt://u%4:p@h/t", "mqtt://u%zz:p@h/t", "mqtt://u%FF:p@h/t", "mqtt://u@h/t%"] {
            #expect(throws: CommandFailure.self) { try words(["--url-decode", "-L", wrong]) }
        }
    }

    @Test func `a property takes three words or four, and means MQTT 5 0`() throws {
        let words = try words([
            "-D", "connect", "User-Property", "-a", "-b", "-D", "publish", "content-type", "c", "-d",
        ])
        let pub = try Pub.read(words)
        #expect(try pub.connection.configuration(.publish).connect.userProperties == [MQTTUserProperty("-a", "-b")])
        #expect(try pub.connection.publishProperties().contentType == "c")
        #expect(pub.connection.debug)
        #expect(try pub.connection.protocolVersion() == .v5_0)
        // As with mosquitto's commands, the last word counts, and without MQTT 5.0 there are no properties.
        let old = try Pub.read(try self.words(["-D", "publish", "content-type", "c", "-V", "311"]))
        #expect(try old.connection.publishProperties() == MQTTPublishProperties())
    }

    @Test func `commands of mosq alone take the flags of a connection, and words that mosquitto does not know`() throws
    {
        #expect(
            try words(["-L", "mqtt://h/t", "--json", "-n", "5", "pub", "-s", "9"], of: nil) == [
                "--port", "1883", "--host", "h", "--json", "-n", "5", "pub", "-s", "9",
            ])
        #expect(try words(["--help"], of: nil) == ["--help"])
    }
}

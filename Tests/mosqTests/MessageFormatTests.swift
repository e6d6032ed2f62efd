// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import MosquittoTesting
import Testing
import Turns

@testable import Mosquitto
@testable import mosq

@Suite("The formats of -F", .turn(.command))
struct MessageFormatTests {
    private static var time: MessageTime { MessageTime(seconds: 1_700_000_000, nanoseconds: 12_345_678) }

    private func text(_ format: String, _ message: MQTTMessage, pretty: Bool = false) throws -> String {
        let formatter = MessageFormatter(try MessageFormat(format), isPretty: pretty)
        return String(decoding: formatter.bytes(message, time: Self.time), as: UTF8.self)
    }

    private var message: MQTTMessage {
        var properties = MQTTPublishProperties(
            payloadIsUTF8: true, messageExpiryInterval: 60, contentType: "text/plain", responseTopic: "re/ply",
            correlationData: [0x41, 0x42], userProperties: [.init("a", "1"), .init("b", "2")])
        properties.subscriptionIdentifiers = [7, 9]
        var message = MQTTMessage(
            topic: "a/topic", payload: Array("payload".utf8), qos: .atLeastOnce, retain: true, properties: properties)
        message.packetIdentifier = 42
        return message
    }

    private var plain: MQTTMessage { MQTTMessage(topic: "t", payload: [], qos: .atMostOnce) }

    // As mosquitto_sub 2.0.11 prints it.
    @Test func `the topic alias is a number, and blank if there is none`() throws {
        var aliased = plain
        aliased.topicAlias = 5
        #expect(try text("%t|%A|%5A|%05A|%-5A|", aliased) == "t|5|    5|00005|5    |")
        #expect(try text("%t|%A|%3A|", plain) == "t||   |")
    }

    // MARK: Parsing

    @Test func `a format is taken apart once, and its literals are joined`() throws {
        let format = try MessageFormat(#"a%%@@\n%-05.2tz@N@H"#)
        #expect(
            format.segments == [
                .literal(Array("a%@\n".utf8)),
                .field(.topic, .init(isLeftAligned: true, padsWithZeros: true, width: 5, precision: 2)),
                .literal([UInt8(ascii: "z")]), .nanoseconds, .time(UInt8(ascii: "H")),
            ])
        #expect(format.needsTime)
        #expect(try !MessageFormat("%t %p").needsTime)
        #expect(try MessageFormat("").segments == [])
    }

    @Test(arguments: [
        ("%", "Incomplete format specifier"), ("a%-", "Incomplete format specifier"),
        ("%5", "Incomplete format specifier"), ("%.3", "Incomplete format specifier"),
        ("%-5", "Incomplete format specifier"), ("%0", "Incomplete format specifier"),
        ("@", "Incomplete format specifier"), (#"\"#, "Incomplete escape specifier"),
        ("%z", "Invalid format specifier 'z'"), ("%0-3t", "Invalid format specifier '-'"),
        ("%5.2 t", "Invalid format specifier ' '"), ("%é", "Invalid format specifier 'é'"),
        (#"\q"#, "Invalid escape specifier 'q'"), ("%99999999999t", "too large"),
    ])
    func `a mistake in a format is told with the format`(format: String, complaint: String) {
        do {
            _ = try MessageFormat(format)
            Issue.record("it is taken")
        } catch let failure as CommandFailure {
            #expect(failure.status == 1)
            #expect(failure.lines.count == 1)
            #expect(failure.lines.first?.contains(complaint) == true, "\(failure.lines)")
            #expect(failure.lines.first?.contains("-F '\(format)'") == true)
        } catch {
            Issue.record(error)
        }
    }

    @Test func `a subscriber refuses it before it connects`() throws {
        #expect(throws: CommandFailure.self) { try Sub.read(["-t", "a", "-F", "%z"]).output.check() }
        #expect(throws: Never.self) { try Sub.read(["-t", "a", "-F", "-%p", "--pretty"]).output.check() }
    }

    // MARK: Fields

    @Test(arguments: [
        ("%t", "a/topic"), ("%p", "payload"), ("%x", "7061796c6f6164"), ("%X", "7061796C6F6164"), ("%l", "7"),
        ("%q", "1"), ("%r", "1"), ("%m", "42"), ("%A", ""), ("%C", "text/plain"), ("%D", "AB"), ("%E", "60"),
        ("%F", "1"), ("%P", "a:1 b:2"), ("%R", "re/ply"), ("%S", "7"), ("%%", "%"), ("%U", "1700000000.012345678"),
        ("@N", "012345678"), ("@s", "1700000000"), (#"\a\e\n\r\t\v\\"#, "\u{07}\u{1B}\n\r\t\u{0B}\\"), (#"\0"#, "\0"),
    ])
    func `each field is what its letter says`(format: String, expected: String) throws {
        #expect(try text(format, message) == expected)
    }

    @Test(arguments: [
        ("%C|%D|%E|%F|%P|%R|%S|%A", "|||||||"), ("%3A|%3C|%3E|%3F|%3S", "   |   |   |   |   "),
        ("%03E|%03A|%03S|%03F|%03C", "000|000|000|000|   "), ("%3D%3R%3P", ""), ("%m %l %q %r", "0 0 0 0"),
        ("%p|%3p|%-3p|%03p", "|   |   |000"), ("%x|%-4x", "|    "),
    ])
    func `what a message does not have is blank`(format: String, expected: String) throws {
        #expect(try text(format, plain) == expected)
    }

    @Test(arguments: [
        ("%10t|", "   a/topic|"), ("%-10t|", "a/topic   |"), ("%.3t|", "a/t|"), ("%5.3t|", "  a/t|"),
        ("%-5.3t|", "a/t  |"), ("%-.3t|", "a/t|"), ("%.0t|", "|"), ("%.t|", "|"), ("%010t|", "   a/topic|"),
        ("%3t|", "a/topic|"), ("%5l|", "    7|"), ("%-5l|", "7    |"), ("%05l|", "00007|"), ("%-05l|", "7    |"),
        ("%5.1m|", "   42|"), ("%5q|", "1|"), ("%12C|", "  text/plain|"), ("%.4C|", "text|"),
        ("%.2R|", "re|"), ("%5D|", "AB|"), ("%20P|", "a:1 b:2|"),
    ])
    func `width, precision and alignment are those of printf, where they count`(
        format: String, expected: String
    ) throws {
        #expect(try text(format, message) == expected)
    }

    @Test(arguments: [
        ("%10p|", "   payload|"), ("%-10p|", "payload   |"), ("%010p|", "000payload|"), ("%4p|", "payl|"),
        ("%-010p|", "payload   |"), ("%.2p|", "payload|"), ("%-p|", "payload       |"),
        ("%-x|", "7061796c6f6164       |"),
        ("%4x|", "7061|"), ("%5x|", " 7061|"), ("%010x|", "0000706179|"), ("%-10X|", "706179    |"),
        ("%20x|", "              706179|"),
    ])
    func `a payload is cut to the width and padded as mosquitto's commands do it`(
        format: String, expected: String
    ) throws {
        #expect(try text(format, message) == expected)
    }

    @Test func `the largest expiry interval is printed as mosquitto's commands print it`() throws {
        var message = message
        message.properties.messageExpiryInterval = .max
        #expect(try text("%E %4E %-4E| %04E", message) == "-1   -1 -1  | -001")
    }

    @Test func `a payload is bytes`() throws {
        let message = MQTTMessage(topic: "t", payload: [0xFF, 0x00, 0x0A], qos: .atMostOnce)
        #expect(MessageFormatter(try MessageFormat("%p")).bytes(message) == [0xFF, 0x00, 0x0A])
        #expect(try text("%x", message) == "ff000a")
    }

    @Test func `times are in the time zone of the process`() throws {
        let iso = try text("%I", plain)
        #expect(iso.wholeMatch(of: /2023-11-1[45]T\d\d:\d\d:20[+-]\d{4}/) != nil, "\(iso)")
        #expect(try text("%30I|", plain).utf8.count == 31)
        #expect(try text("%.4I", plain) == "2023")
        #expect(try text("@Y-@M@%@@", plain).wholeMatch(of: /2023-\d\d%@/) != nil)
    }

    // MARK: The command

    @Test func `a subscriber prints each message in the format, and a newline unless told otherwise`() async throws {
        let broker = try await ScriptedBroker.start()
        broker.publish(topic: "a/1", payload: "not JSON", qos: 1, retain: true)
        let arguments = ["sub", "-p", "\(broker.port)", "-t", "a/+", "-q", "1", "-C", "1"]
        let lines = try await MosqProcess(arguments + ["-F", "%t %r %q %m %X|"]).result()
        #expect(lines.output == "a/1 1 1 1 6E6F74204A534F4E|\n")
        let joined = try await MosqProcess(arguments + ["-N", "-F", #"%p\t"#]).result()
        #expect(joined.output == "not JSON\t")
        #expect(lines.errors + joined.errors == "")
        let warned = try await MosqProcess(arguments + ["-F", "<%J>"]).result()
        #expect(warned.output == "<>\n")
        #expect(warned.errors == "Error: Message payload is not valid JSON on topic a/1.\n")
        #expect(try await MosqProcess(arguments + ["-F", "<%J>", "--quiet"]).result().errors == "")
        #expect([lines, joined, warned].allSatisfy { $0.status == 0 })
        await broker.stop()
    }
}

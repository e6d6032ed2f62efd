// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Mosquitto
import MosquittoTesting
import Testing
import Turns

@testable import mosq

@Suite("Property arguments", .turn(.arguments), .timeLimit(.minutes(1)))
struct PropertyArgumentTests {
    private func connection(_ properties: String...) throws -> ConnectionOptions {
        var arguments = ReferenceArguments(of: nil)
        for property in properties { try arguments.take(["-D"] + property.split(separator: " ").map(String.init)) }
        return try ConnectionOptions.read(arguments.words)
    }

    @Test func `CONNECT has what it is given`() throws {
        let configuration = try connection(
            "connect receive-maximum 7", "connect maximum-packet-size 1000", "connect request-response-information 1",
            "connect request-problem-information 0", "connect user-property a b", "connect user-property a c",
            "connect session-expiry-interval 9", "connect topic-alias-maximum 5"
        ).configuration(.publish)
        #expect(configuration.version == .v5_0)
        #expect(configuration.receiving.receiveMaximum == 7)
        #expect(configuration.receiving.maximumPacketSize == 1_000)
        #expect(configuration.connect.requestsResponseInformation)
        #expect(!configuration.connect.requestsProblemInformation)
        #expect(configuration.connect.userProperties == [MQTTUserProperty("a", "b"), MQTTUserProperty("a", "c")])
        #expect(configuration.connect.cleanSessionExpiry == .seconds(9))
        #expect(configuration.receiving.topicAliasMaximum == 5)
        #expect(try connection().configuration(.publish).receiving.topicAliasMaximum == 0)
    }

    @Test func `messages have theirs`() throws {
        let properties = try connection(
            "publish payload-format-indicator 1", "publish message-expiry-interval 5", "publish content-type text",
            "publish response-topic r", "publish correlation-data c", "publish user-property a b"
        ).publishProperties()
        var expected = MQTTPublishProperties(
            payloadIsUTF8: true, messageExpiryInterval: 5, contentType: "text", responseTopic: "r",
            correlationData: Array("c".utf8))
        expected.userProperties = [MQTTUserProperty("a", "b")]
        #expect(properties == expected)
    }

    @Test func `so has the will`() throws {
        var arguments = ReferenceArguments(of: nil)
        try arguments.take([
            "--will-topic", "w", "-D", "will", "will-delay-interval", "3", "-D", "will", "content-type", "text",
        ])
        let will = try ConnectionOptions.read(arguments.words).configuration(.publish).will
        #expect(will?.delayInterval == 3)
        #expect(will?.properties.contentType == "text")
    }

    @Test func `so have SUBSCRIBE and DISCONNECT`() throws {
        let options = try connection(
            "subscribe user-property a b", "disconnect reason-string bye", "disconnect user-property c d",
            "connect session-expiry-interval 5", "disconnect session-expiry-interval 6")
        #expect(try options.properties.subscribe() == [MQTTUserProperty("a", "b")])
        let farewell = try options.farewell(isEarly: false)
        #expect(farewell.reasonString == "bye")
        #expect(farewell.userProperties == [MQTTUserProperty("c", "d")])
        #expect(farewell.sessionExpiry == .seconds(6))
    }

    @Test(arguments: [
        ("foo content-type x", "Invalid command given in --property argument."),
        ("publish foo x", "Invalid property name given in --property argument."),
        ("connect content-type x", "content-type property not allowed for connect in --property argument."),
        ("Publish Receive-Maximum 1", "Receive-Maximum property not allowed for Publish in --property argument."),
        ("auth reason-string x", "reason-string property not supported for auth in --property argument."),
        ("connack user-property a b", "user-property property not supported for connack in --property argument."),
        (
            "publish subscription-identifier 1",
            "subscription-identifier property not supported for publish in --property argument."
        ),
        (
            "publish message-expiry-interval -1",
            "Property value (-1) out of range for property message-expiry-interval."
        ),
        ("connect receive-maximum 65536", "Property value (65536) out of range for property receive-maximum."),
        ("connect receive-maximum many", "Property value (many) is not a number for property receive-maximum."),
        ("connect receive-maximum 0", "Error in CONNECT properties: A network protocol error occurred"),
        ("connect request-problem-information 2", "Error in CONNECT properties: A network protocol error occurred"),
        ("publish payload-format-indicator 2", "Error in PUBLISH properties: A network protocol error occurred"),
        ("publish topic-alias 0", "Error in PUBLISH properties: "),
        ("subscribe subscription-identifier 0", "Error in SUBSCRIBE properties: "),
        ("unsubscribe user-property a b", "-D unsubscribe user-property is not supported; "),
        ("disconnect server-reference h", "-D disconnect server-reference is not supported; "),
        ("will reason-string x", "-D will reason-string is not supported; "),
        ("connect authentication-data x", "-D connect authentication-data needs"),
    ])
    func `what makes no sense is refused in one line`(property: String, text: String) {
        do {
            _ = try connection(property).configuration(.publish)
            Issue.record("\(property) was taken")
        } catch let failure as CommandFailure {
            #expect(failure.lines.count == 1)
            #expect(failure.lines[0].hasPrefix(text.hasPrefix("Error in") ? text : "Error: " + text))
        } catch {
            Issue.record(error)
        }
    }

    @Test func `one that is given twice is refused`() {
        for pair in [
            ["connect receive-maximum 1", "connect receive-maximum 1"],
            ["publish content-type a", "publish content-type b"],
        ] {
            #expect(throws: CommandFailure.self) { try connection(pair[0], pair[1]).configuration(.publish) }
        }
    }

    @Test func `they are on the wire`() async throws {
        let broker = try await ScriptedBroker.start()
        let result = try await MosqProcess(
            ["pub", "-p", "\(broker.port)", "-t", "a", "-m", "x", "-q", "1"]
                + "-D connect user-property a b -D publish content-type text -D publish user-property c d".split(
                    separator: " "
                ).map(String.init)
        ).result()
        #expect(result.status == 0)
        #expect(broker.connects.first?.protocolLevel == 5)
        #expect(broker.connects.first?.properties.compactMap(\.pair).map { "\($0)=\($1)" } == ["a=b"])
        let publish = try #require(broker.publishes.first)
        #expect(publish.properties.contains { $0.string == "text" })
        #expect(publish.properties.compactMap(\.pair).map { "\($0)=\($1)" } == ["c=d"])
        await broker.stop()
    }
}

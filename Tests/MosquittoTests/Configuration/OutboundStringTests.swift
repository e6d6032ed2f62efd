// SPDX-License-Identifier: Apache-2.0

import Testing
import Turns

@testable import Mosquitto

/// MQTT 5.0, section 1.5.4: a receiver may treat a control character or a non-character as a malformed packet.
@Suite(.turn(.units)) struct `A string that a broker may refuse is refused before any I/O (core 7)` {
    private static let texts = ["a\n", "a\t", "a\u{7F}", "a\u{9F}", "a\u{FFFE}", "a\0"]

    private func refuses(_ change: (inout MQTTClientConfiguration) throws -> Void) {
        var configuration = MQTTClientConfiguration(host: "broker")
        let error = #expect(throws: MQTTError.self) {
            try change(&configuration)
            try configuration.validate()
        }
        #expect(error?.message.contains("character") == true)
    }

    @Test(arguments: texts)
    func `of CONNECT and the will`(text: String) {
        refuses { $0.clientID = text }
        refuses { $0.connect.userProperties = [.init(text, "")] }
        refuses { $0.connect.userProperties = [.init("", text)] }
        refuses { $0.authenticator = MQTTTokenAuthenticator(method: text) }
        refuses { $0.connect.responseTopic = text }
        refuses { $0.will = MQTTWill(topic: MQTTTopic(text), payload: "") }
        refuses { $0.will = MQTTWill(topic: "a", payload: "", properties: .init(contentType: text)) }
        refuses { $0.will = MQTTWill(topic: "a", payload: "", properties: .init(responseTopic: text)) }
        refuses { $0.will = MQTTWill(topic: "a", payload: "", properties: .init(userProperties: [.init("", text)])) }
        refuses { _ in try MQTTCredentials(username: text).validate() }
    }

    @Test(arguments: texts)
    func `of PUBLISH, SUBSCRIBE and DISCONNECT`(text: String) {
        refuses { _ in try MQTTTopic(text).validate() }
        refuses { _ in try MQTTPublishProperties(contentType: text).validate() }
        refuses { _ in try MQTTPublishProperties(responseTopic: text).validate() }
        refuses { _ in try MQTTPublishProperties(userProperties: [.init(text, "")]).validate() }
        refuses { _ in try MQTTSubscription(text).validate() }
        refuses { _ in try MQTTSubscription("a", userProperties: [.init("", text)]).validate() }
        refuses { try MQTTDisconnect(reasonString: text).validate($0) }
        refuses { try MQTTDisconnect(userProperties: [.init(text, "")]).validate($0) }
    }

    @Test(arguments: texts)
    func `and a tracer's mistake does not cost the message`(text: String) {
        var properties: [MQTTUserProperty] = []
        UserPropertyInjector().inject(text, forKey: "traceparent", into: &properties)
        #expect(properties.isEmpty)
    }

    private static let lists: [@Sendable (LibraryProperties, String) throws -> Void] = [
        { try $0.add([MQTTUserProperty("name", $1)]) }, { try $0.add([MQTTUserProperty($1, "value")]) },
        { try $0.add(MQTTPublishProperties(contentType: $1)) },
    ]

    /// A value that was not validated does not vanish from the packet. Some versions of libmosquitto accept more than
    /// others.
    @Test(arguments: 0..<3)
    func `and a property that libmosquitto does not take is an error`(index: Int) {
        let list = LibraryProperties()
        do {
            try Self.lists[index](list, "a\n")
            #expect(list.pointer != nil)
        } catch {
            #expect((error as? MQTTError)?.code == .invalidProperty)
        }
    }

    @Test(arguments: 0..<3)
    func `and a property is not cut at a NUL`(index: Int) {
        let list = LibraryProperties()
        let error = #expect(throws: MQTTError.self) { try Self.lists[index](list, "a\0") }
        #expect(error?.code == .invalidProperty)
    }

    @Test func `and binary data that is too long is an error`() {
        let list = LibraryProperties()
        let error = #expect(throws: MQTTError.self) {
            try list.add(MQTTPublishProperties(correlationData: [UInt8](repeating: 0, count: 65_536)))
        }
        #expect(error?.code == .invalidProperty)
    }
}

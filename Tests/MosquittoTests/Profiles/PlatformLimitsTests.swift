// SPDX-License-Identifier: Apache-2.0

import Testing
import Turns

@testable import Mosquitto

@Suite(.turn(.units)) struct `The limits of a platform` {
    private func code(_ body: () throws(MQTTError) -> Void) -> MQTTError.Code? {
        do throws(MQTTError) {
            try body()
            return nil
        } catch {
            return error.code
        }
    }

    private func validation(_ change: (inout MQTTClientConfiguration) -> Void) -> MQTTError.Code? {
        var configuration = MQTTClientConfiguration.awsIoTCore(
            endpoint: "id-ats.iot.eu-central-1.amazonaws.com", clientID: "kitchen",
            authentication: .certificate(.files(certificate: "c.pem", key: "k.pem")))
        change(&configuration)
        return code { () throws(MQTTError) in try configuration.validate() }
    }

    @Test func `are checked when the client starts`() {
        #expect(validation { _ in } == nil)
        #expect(validation { $0.clientID = String(repeating: "x", count: 129) } == .invalidConfiguration)
        #expect(validation { $0.clientID = String(repeating: "x", count: 128) } == nil)
        #expect(validation { $0.keepAlive = .seconds(1_201) } == .invalidConfiguration)
        #expect(validation { $0.keepAlive = .zero } == .invalidConfiguration)
        #expect(validation { $0.keepAlive = .seconds(1_200) } == nil)
        #expect(validation { $0.receiving.maximumFiltersPerSubscribe = 9 } == .invalidConfiguration)
        #expect(validation { $0.tls = nil } == .invalidConfiguration)
        #expect(validation { $0.will = MQTTWill(topic: "a", payload: "", qos: .exactlyOnce) } == .unsupported)
        #expect(validation { $0.will = MQTTWill(topic: "a/b/c/d/e/f/g/h/i", payload: "") } == .invalidTopic)
        #expect(validation { $0.version = .v3_1_1 } == nil)
    }

    @Test func `can be those of another quota`() {
        #expect(
            validation {
                $0.platformLimits?.clientIDBytes = 200
                $0.clientID = String(repeating: "x", count: 129)
            } == nil)
        #expect(
            validation {
                $0.platformLimits = nil
                $0.keepAlive = .zero
            } == nil)
    }

    @Test func `of messages are checked before anything is sent`() {
        let limits = MQTTPlatformLimits.awsIoTCore
        func check(_ topic: String, _ payload: Int = 1, qos: MQTTQoS = .atLeastOnce) -> MQTTError.Code? {
            code { () throws(MQTTError) in try limits.check(topic, payload, qos: qos, retain: true) }
        }
        #expect(check("a/b/c/d/e/f/g/h", 131_072) == nil)
        #expect(check("a", 131_073) == .payloadTooLarge)
        #expect(check("a", qos: .exactlyOnce) == .unsupported)
        #expect(check("a/b/c/d/e/f/g/h/i") == .invalidTopic)
        #expect(check("$aws/rules/r/a/b/c/d/e/f/g/h") == nil)
        #expect(check("$aws/rules/r/a/b/c/d/e/f/g/h/i") == .invalidTopic)
        #expect(check(String(repeating: "x", count: 257)) == .invalidTopic)
    }

    @Test func `of subscriptions are checked before anything is sent`() {
        func check(_ subscription: MQTTSubscription, _ limits: MQTTPlatformLimits) -> MQTTError.Code? {
            code { () throws(MQTTError) in try limits.check(subscription) }
        }
        #expect(check("$share/group/a/b/c/d/e/f/g/h", .awsIoTCore) == nil)
        #expect(check("a/b/c/d/e/f/g/h/i", .awsIoTCore) == .invalidTopicFilter)
        #expect(check(MQTTSubscription("a", qos: .exactlyOnce), .awsIoTCore) == .unsupported)
        #expect(check("$share/group/a", .azureEventGrid) == nil)
        #expect(check("$share/group/a", .azureIoTHub(device: "d")) == .operationRefused)
        #expect(check("$share/group/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o", .azureEventGrid) == nil)
        #expect(check("a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p", .azureEventGrid) == .invalidTopicFilter)
        #expect(
            check(MQTTSubscription("a", userProperties: [.init("n", "v")]), .azureEventGrid) == .unsupported)
        #expect(check("devices/d/messages/devicebound/#", .azureIoTHub(device: "d")) == nil)
        #expect(check("#", .azureIoTHub(device: "d")) == .invalidTopicFilter)
        #expect(check("/devices/d/commands/#", .clearBlade(device: "d")) == nil)
        #expect(check("/devices/e/commands/#", .clearBlade(device: "d")) == .invalidTopicFilter)
        #expect(check("a/b/c/d/e/f/g/h/i/j", .emqx(.serverless)) == nil)
        #expect(check("a/b/c/d/e/f/g/h/i/j/k", .emqx(.serverless)) == .invalidTopicFilter)
        #expect(check("a/b/c/d/e/f/g/h/i/j/k", .emqx(.dedicated)) == nil)
    }

    @Test func `count all subscriptions of a client`() {
        let limits = MQTTPlatformLimits.azureIoTHub(device: "d")
        #expect(code { () throws(MQTTError) in try limits.check(filters: 5) } == nil)
        #expect(code { () throws(MQTTError) in try limits.check(filters: 6) } == .unsupported)
    }

    @Test func `are 256 KB and no retained message for ClearBlade`() {
        let limits = MQTTPlatformLimits.clearBlade(device: "d")
        func check(_ payload: Int, retain: Bool = false) -> MQTTError.Code? {
            code { () throws(MQTTError) in
                try limits.check("/devices/d/events", payload, qos: .atLeastOnce, retain: retain)
            }
        }
        #expect(check(262_144) == nil)
        #expect(check(262_145) == .payloadTooLarge)
        #expect(check(1, retain: true) == .unsupported)
    }

    @Test func `name the platform, the limit and the remedy`() throws {
        let limits = MQTTPlatformLimits.azureIoTHub(device: "d")
        let error = try #require(throws: MQTTError.self) {
            try limits.check("telemetry", 1, qos: .atLeastOnce, retain: false)
        }
        #expect(error.message.contains("Azure IoT Hub") && error.message.contains("devices/d/messages/events/#"))
        #expect(
            throws: MQTTError.self,
            performing: { try limits.check("devices/d/messages/events/", 1, qos: .atLeastOnce, retain: true) })
    }

    @Test(arguments: [
        MQTTPlatformLimits.awsIoTCore, .azureEventGrid, .azureIoTHub(device: "d"), .clearBlade(device: "d"),
        .hiveMQCloud, .emqx(.serverless),
    ])
    func `come from documents`(limits: MQTTPlatformLimits) {
        #expect(!limits.documents.isEmpty && limits.documents.allSatisfy { $0.hasPrefix("https://") })
    }
}

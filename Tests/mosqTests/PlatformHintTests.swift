// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import Testing
import Turns

@testable import mosq

@Suite("Hints for hosted platforms", .turn(.command))
struct PlatformHintTests {
    private func hints(
        _ host: String, port: Int = 8883, version: MQTTVersion = .v5_0, clientID: String? = nil,
        username: String? = nil, hasPassword: Bool = false, protocols: [String] = []
    ) -> [String] {
        var configuration = MQTTClientConfiguration(host: host, port: port)
        configuration.version = version
        configuration.clientID = clientID
        configuration.tls?.applicationProtocols = protocols
        return PlatformHint.likely(
            configuration.endpoints[0], configuration, username: username, hasPassword: hasPassword)
    }

    @Test(arguments: ["broker.example.com", "azure-devices.net.example.com", "iot.example.com", "127.0.0.1"])
    func `are for their hosts only`(host: String) { #expect(hints(host) == []) }

    @Test func `name version and user name of Azure IoT Hub`() {
        #expect(hints("Contoso.azure-devices.net").count == 2)
        let right = hints(
            "contoso.azure-devices.net", version: .v3_1_1,
            username: "contoso.azure-devices.net/d/?api-version=2021-04-12", hasPassword: true)
        #expect(right == [])
    }

    @Test func `name the place of the token for Azure Event Grid`() {
        #expect(hints("n.westeurope-1.ts.eventgrid.azure.net", hasPassword: true).count == 1)
        #expect(hints("n.westeurope-1.ts.eventgrid.azure.net") == [])
    }

    @Test func `name ALPN for port 443 of AWS IoT Core`() {
        let host = "id-ats.iot.eu-central-1.amazonaws.com"
        #expect(hints(host, port: 443).first?.contains("--tls-alpn") == true)
        #expect(hints(host, port: 443, protocols: ["mqtt"]).count == 1)
        #expect(hints(host).count == 1)
    }

    @Test func `name the path of a device for ClearBlade`() {
        #expect(hints("us-central1-mqtt.clearblade.com").count == 2)
        #expect(hints("us-central1-mqtt.clearblade.com", version: .v3_1_1, clientID: "projects/p") == [])
    }

    @Test(arguments: ["x.s1.eu.hivemq.cloud", "x.ala.eu-central-1.emqxsl.com"])
    func `name the credentials of brokers that take no anonymous client`(host: String) {
        #expect(hints(host).count == 1)
        #expect(hints(host, username: "u", hasPassword: true) == [])
    }
}

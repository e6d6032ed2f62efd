// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Testing

/// One row of the matrix against mosquitto, which runs with both versions of MQTT.
struct MosquittoRow: Sendable, CustomTestStringConvertible {
    var name: String
    /// Lines of mosquitto's configuration; "$" stands for the folder of the certificates.
    var broker: String
    /// The highest.
    var version: TLSVersion
    var client: TLSRow.Client
    var expected: TLSExpectation
    /// The text that mosquitto must log.
    var brokerSays: String?
    /// The outcome with a later mosquitto than 2.0.11, if it is another one.
    var outcomeAfter2_0_11: TLSOutcome?

    var testDescription: String { "\(name), \(version)" }

    static let ecdsa = "certfile $/server-ecdsa.pem\nkeyfile $/server-ecdsa.key\n"
    /// Requires a client certificate, whose identity is the user name.
    static let strict = ecdsa + "cafile $/root.pem\nrequire_certificate true\nuse_identity_as_username true\n"
    /// Requires a pre-shared key, whose identity is the user name.
    static let keyed = "psk_hint hint\npsk_file $/mosquitto.psk\nuse_identity_as_username true\n"

    init(
        _ name: String, broker: String, _ version: TLSVersion, _ expected: TLSExpectation, brokerSays: String? = nil,
        client: @escaping TLSRow.Client = { _, _ in }
    ) {
        self.name = name
        self.broker = broker
        self.version = version
        self.expected = expected
        self.brokerSays = brokerSays
        self.client = client
    }

    func check(_ mqtt: MQTTVersion) async throws {
        let certificates = try Certificates.current
        let mosquitto = try await LocalMosquitto.start(
            extraConfiguration: broker.replacing("$", with: certificates.directory.path))
        var tls = MQTTTLSConfiguration(trust: .file(certificates.path("root.pem")))
        tls.maximumVersion = version
        try client(&tls, certificates)
        var configuration = MQTTClientConfiguration(host: "localhost", port: mosquitto.port, tls: tls)
        configuration.version = mqtt
        let outcome = await TLSOutcome.of(configuration, certificates)
        let isLater = !mosquitto.log.contains("mosquitto version 2.0.11 ")
        let expected = isLater ? outcomeAfter2_0_11 ?? expected[version] : expected[version]
        #expect(outcome == expected, "\(outcome); mosquitto said: \(mosquitto.log)")
        if let brokerSays {
            #expect(await eventually { mosquitto.log.contains(brokerSays) }, "\(mosquitto.log)")
        }
    }
}

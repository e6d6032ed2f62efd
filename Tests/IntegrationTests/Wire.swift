// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting

/// The layers below the packets of MQTT.
enum Wire: String, CaseIterable, Sendable {
    case tcp, tls, ws, wss

    /// The wires with TLS.
    static let secure: [Wire] = [.tls, .wss]

    var isSecure: Bool { self == .tls || self == .wss }
    var isWebSocket: Bool { self == .ws || self == .wss }

    /// The broker on this machine.
    func endpoint(port: Int) -> MQTTEndpoint {
        switch self {
        case .tcp, .tls: MQTTEndpoint(host: "localhost", port: port)
        case .ws: .webSocket(host: "localhost", port: port)
        case .wss: .secureWebSocket(host: "localhost", port: port)
        }
    }

    /// A client of the broker on this machine, with short delays.
    func configuration(port: Int, authority: TestCertificateAuthority) -> MQTTClientConfiguration {
        var configuration = MQTTClientConfiguration(
            endpoints: [endpoint(port: port)], tls: isSecure ? .init(trust: .pem(authority.certificatePEM)) : nil)
        // For persistent sessions too.
        configuration.clientID = "test-\(UInt64.random(in: 0 ... .max))"
        configuration.retry.baseDelay = .milliseconds(50)
        configuration.retry.maximumDelay = .milliseconds(500)
        return configuration
    }
}

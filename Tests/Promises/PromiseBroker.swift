// SPDX-License-Identifier: Apache-2.0

import MosquittoTesting

/// Starts the mosquitto of a promises run, which drops nothing, on a port with TLS and a plain one.
func startPromiseBroker(
    _ authority: TestCertificateAuthority, _ configuration: String
) async throws -> (broker: LocalMosquitto, plainPort: Int) {
    let plainPort = try freePort()
    let broker = try await LocalMosquitto.start(
        tls: authority.serverIdentity(),
        extraConfiguration: """
            listener \(plainPort) 127.0.0.1
            max_queued_messages 0
            # With a limit, a new message overtakes those that wait for it to go down (mosquitto 2.0.11). A client of
            # MQTT 3.1.1, which is not told, is closed at one more QoS 2 message.
            max_inflight_messages 0
            set_tcp_nodelay true
            \(configuration)
            """)
    return (broker, plainPort)
}

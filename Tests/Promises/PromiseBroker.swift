// SPDX-License-Identifier: Apache-2.0

import MosquittoTesting

/// Starts the mosquitto of a promises run, which drops nothing, on a port with TLS and a plain one, both with WebSockets
/// or without.
func startPromiseBroker(
    _ authority: TestCertificateAuthority, _ configuration: String, webSockets: Bool = false
) async throws -> (broker: LocalMosquitto, plainPort: Int) {
    let plainPort = try freePort()
    // mosquitto 2.0.11 does not start without a listener for MQTT: the last one, which nobody uses.
    let (kind, rest) = webSockets ? ("protocol websockets", "listener \(try freePort()) 127.0.0.1") : ("", "")
    let broker = try await LocalMosquitto.start(
        tls: authority.serverIdentity(),
        extraConfiguration: """
            \(kind)
            listener \(plainPort) 127.0.0.1
            \(kind)
            \(rest)
            max_queued_messages 0
            # With a limit, a new message overtakes those that wait for it to go down (mosquitto 2.0.11). A client of
            # MQTT 3.1.1, which is not told, is closed at one more QoS 2 message.
            max_inflight_messages 0
            max_packet_size 10000000
            set_tcp_nodelay true
            \(configuration)
            """)
    return (broker, plainPort)
}

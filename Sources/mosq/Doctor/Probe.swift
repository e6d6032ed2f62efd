// SPDX-License-Identifier: Apache-2.0

import Logging
import Mosquitto

/// A recorder of the certificates that the broker sends in the handshake, set as the custom verification of every
/// connection of the doctor.
final class PeerRecorder: Sendable {
    private let seen = FirstValue<MQTTTLSPeer>()

    var peer: MQTTTLSPeer? { seen.value }

    /// Makes this configuration record the peer, and then call its former custom verification.
    func record(in tls: inout MQTTTLSConfiguration) {
        let check = tls.customVerification
        tls.customVerification = { [seen] peer in
            seen.set(peer)
            try await check?(peer)
        }
    }
}

/// A handshake that is refused as soon as the broker has sent its certificates, before any MQTT packet or credentials
/// are sent.
enum CertificateProbe {
    private struct Seen: Error {}

    /// Returns the broker's certificates, valid or not; `nil` if the peer does not speak TLS or sends no certificate.
    static func peer(_ configuration: MQTTClientConfiguration) async -> MQTTTLSPeer? {
        if configuration.tls?.preSharedKey != nil { return nil }
        var configuration = configuration
        var tls = configuration.tls ?? MQTTTLSConfiguration()
        tls.trust = .system
        tls.verification = .none
        tls.pins = []
        tls.revocation = nil
        tls.requiresOCSPStaple = false
        tls.identity = nil
        tls.keyLogFile = nil
        tls.requiresPostQuantum = false
        tls.customVerification = { _ in throw Seen() }
        let recorder = PeerRecorder()
        recorder.record(in: &tls)
        configuration.tls = tls
        // The handshake ends before the request of a WebSocket, and ws: excludes TLS.
        configuration.endpoints = configuration.endpoints.map {
            $0.webSocket == nil ? $0 : MQTTEndpoint(host: $0.host, port: $0.port)
        }
        configuration.webSocket.prepare = nil
        configuration.credentials = nil
        configuration.will = nil
        let client = MQTTClient(configuration, logger: .silent)
        try? await client.run()
        return recorder.peer
    }
}

extension TLSFacts {
    mutating func fill(_ peer: MQTTTLSPeer?) {
        guard let peer else { return }
        version = peer.protocolVersion
        cipher = peer.cipher
        chain = peer.certificates.map(Certificate.init)
    }
}

extension Logger {
    static let silent = Logger(label: "mosq") { _ in SwiftLogNoOpLogHandler() }
}

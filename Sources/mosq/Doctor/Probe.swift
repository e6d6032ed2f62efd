import Logging
import Mosquitto

/// What the broker shows in the handshake, as seen by a check of one's own that all connections here make.
final class PeerRecorder: Sendable {
    private let seen = FirstValue<TLSPeer>()

    var peer: TLSPeer? { seen.value }

    /// Lets this configuration record, and then ask the check that it had.
    func record(in tls: inout TLSConfiguration) {
        let check = tls.customVerification
        tls.customVerification = { [seen] peer in
            seen.set(peer)
            try await check?(peer)
        }
    }
}

/// A handshake that is refused as soon as the broker has shown its certificates: nothing of MQTT is sent, no
/// credentials either.
enum CertificateProbe {
    private struct Seen: Error {}

    /// What it shows, whatever is wrong with it; `nil` if what answers does not speak TLS, or shows no certificate.
    static func peer(_ configuration: MQTTClientConfiguration) async -> TLSPeer? {
        if configuration.tls?.preSharedKey != nil { return nil }
        var configuration = configuration
        var tls = configuration.tls ?? TLSConfiguration()
        tls.trust = .system
        tls.verification = .none
        tls.pins = []
        tls.revocation = nil
        tls.requiresOCSPStaple = false
        tls.identity = nil
        tls.keyLogFile = nil
        tls.customVerification = { _ in throw Seen() }
        let recorder = PeerRecorder()
        recorder.record(in: &tls)
        configuration.tls = tls
        configuration.credentials = nil
        configuration.will = nil
        let client = MQTTClient(configuration, logger: .silent)
        try? await client.run()
        return recorder.peer
    }
}

extension TLSFacts {
    mutating func fill(_ peer: TLSPeer?) {
        guard let peer else { return }
        version = peer.protocolVersion
        cipher = peer.cipher
        chain = peer.certificates.map(Certificate.init)
    }
}

extension Logger {
    static let silent = Logger(label: "mosq") { _ in SwiftLogNoOpLogHandler() }
}

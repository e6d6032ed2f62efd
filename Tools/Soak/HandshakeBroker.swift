// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import MosquittoTesting

/// The peer of the handshakes.
enum HandshakePeer: String, ExpressibleByArgument, CaseIterable {
    /// With OpenSSL, in a process of its own.
    case mosquitto
    /// The scripted broker, on a thread of its own in this process.
    case boringssl
}

/// A broker whose certificate has a key of one kind, with a port for each way to greet a client.
final class HandshakeBroker: Sendable {
    let authority: TestCertificateAuthority
    let client: TestIdentity
    private let tlsPort: Int
    private let certificatePort: Int
    private let plainPort: Int
    private let mosquitto: LocalMosquitto?
    private let scripted: [ScriptedBroker]
    private let folder: TemporaryDirectory

    init(_ algorithm: TestKeyAlgorithm, _ peer: HandshakePeer) async throws {
        authority = try TestCertificateAuthority(keyAlgorithm: algorithm)
        client = try authority.clientIdentity(commonName: "soak")
        folder = try TemporaryDirectory()
        let identity = try authority.serverIdentity()
        switch peer {
        case .mosquitto:
            certificatePort = try freePort()
            plainPort = try freePort()
            let broker = try await LocalMosquitto.start(
                tls: identity,
                extraConfiguration: """
                    log_type none
                    log_type information
                    listener \(certificatePort) 127.0.0.1
                    certfile \(try folder.write(identity.certificatePEM, to: "server.pem"))
                    keyfile \(try folder.write(identity.privateKeyPEM, to: "server.key"))
                    cafile \(try folder.write(authority.certificatePEM, to: "authority.pem"))
                    require_certificate true
                    listener \(plainPort) 127.0.0.1
                    """)
            tlsPort = broker.port
            mosquitto = broker
            scripted = []
        case .boringssl:
            let brokers = [
                try await ScriptedBroker.start(tls: identity),
                try await ScriptedBroker.start(tls: identity, clientAuthority: authority.certificatePEM),
                try await ScriptedBroker.start(),
            ]
            (tlsPort, certificatePort, plainPort) = (brokers[0].port, brokers[1].port, brokers[2].port)
            mosquitto = nil
            scripted = brokers
        }
    }

    func port(for handshake: HandshakeCase) -> Int {
        if handshake.version == nil { return plainPort }
        return handshake.kind.hasClientCertificate ? certificatePort : tlsPort
    }

    func kill() { mosquitto?.kill() }

    func stop() async {
        await mosquitto?.terminate()
        for broker in scripted { await broker.stop() }
    }
}

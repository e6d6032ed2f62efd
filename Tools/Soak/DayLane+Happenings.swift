// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting

#if os(Linux)
/// The faults and rotations that a lane applies to its client's connections.
extension DayLane {
    func perform(_ happening: DayHappening) async throws {
        let (connections, failures) = (tally.connections, tally.failed)
        switch happening {
        case .rotatesCredentials: await rotate { try await client.rotateCredentials() }
        case .rotatesIdentity: await rotate { try await client.rotateIdentity() }
        case .brokerCloses: proxy.end(.close)
        case .brokerResets: proxy.end(.reset)
        case .handshakeIsCut:
            let ending = TCPProxy.Ending.allCases.randomElement(using: &numbers) ?? .close
            let bytes = Int.random(in: 1...3_000, using: &numbers)
            proxy.setPlan(.init(cut: .init(.toClient, after: bytes, ending)))
            proxy.end(.close)
            // If the limit exceeds the bytes of the handshake, the connection succeeds.
            try await wait("to be cut") { $0.tally.failed > failures || $0.tally.connections > connections }
            proxy.setPlan(.init())
            proxy.end(.reset)
        case .brokerIsForeign: try await fail(at: broker.foreignPort)
        case .brokerHasExpired: try await fail(at: broker.expiredPort)
        case .passwordIsRefused:
            credentials.isUnknown = true
            try await fail(at: broker.mosquitto.port)
            credentials.isUnknown = false
        case .certificateIsRefused:
            try showIdentity(of: broker.stranger)
            try await fail(at: broker.mosquitto.port)
            try showIdentity(of: broker.authority)
        case .keyIsBroken:
            try folder.write("-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n", to: "client.key")
            try await fail(at: broker.mosquitto.port)
            try showIdentity(of: broker.authority)
        }
        try await wait("to connect after \(happening)") {
            $0.tally.connections > connections && $0.isConnected
        }
    }

    /// Counts a rotation even if the broker ends the connection first.
    private func rotate(_ rotation: () async throws -> Void) async {
        do { try await rotation() } catch { tally.overtakenRotations += 1 }
    }

    /// Lets one to three attempts fail at this port.
    private func fail(at port: Int) async throws {
        let goal = tally.failed + Int.random(in: 1...3, using: &numbers)
        proxy.setBroker(port: port)
        proxy.end(.close)
        try await wait("to fail") { $0.tally.failed >= goal }
        proxy.setBroker(port: broker.mosquitto.port)
    }

    func replaceFiles() throws {
        nextReplacement += 100
        try showIdentity(of: broker.authority)
        // Also replaces the authorities, with one more than before: later connections are verified again.
        if Bool.random(using: &numbers) {
            try folder.write(
                broker.authority.certificatePEM + "\n" + TestCertificateAuthority().certificatePEM, to: "authority.pem")
        }
    }

    /// Writes a new key and certificate each time. An attempt that reads one without the other fails.
    func showIdentity(of authority: TestCertificateAuthority) throws {
        let identity = try authority.clientIdentity(commonName: "day-\(number)")
        try folder.write(identity.certificatePEM, to: "client.pem")
        try folder.write(identity.privateKeyPEM, to: "client.key")
        tally.certificates += 1
    }
}
#endif

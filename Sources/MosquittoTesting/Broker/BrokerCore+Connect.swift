// SPDX-License-Identifier: Apache-2.0

internal import NIOCore

#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

extension BrokerCore {
    private enum Admission {
        case accepted(expiresAt: Date?)
        case refused
    }

    /// Answers CONNECT (MQTT 5.0, 3.1.4).
    func connect(_ packet: ConnectPacket, on connection: BrokerConnection) {
        guard (3...5).contains(packet.level) else {
            return refuse(connection, v3: 0x01, v5: 0x84)
        }
        guard case .accepted(let expiresAt) = admission(of: packet) else {
            return refuse(connection, v3: 0x05, v5: 0x87)
        }
        guard platformAdmits(packet, on: connection) else { return }
        let limits = settings.platform?.emulation.properties(of: packet) ?? []
        var properties = settings.connackProperties + limits.wireFormat
        var clientID = packet.clientID
        if clientID.isEmpty {
            // MQTT 3.1.1, 3.1.3.1: without an identifier the session must be clean.
            guard packet.isV5 || packet.cleanStart else { return refuse(connection, v3: 0x02, v5: 0x85) }
            assignedClientIDs += 1
            clientID = "assigned-\(assignedClientIDs)"
            properties +=
                [ReceivedProperty(identifier: PropertyID.assignedClientIdentifier, string: clientID)].wireFormat
        }
        // MQTT 5.0, 3.1.4: session taken over.
        online[clientID]?.disconnect(reasonCode: 0x8E)

        for timer in sessionTimers.removeValue(forKey: clientID) ?? [] { timer.cancel() }
        let (session, isPresent) = session(for: clientID, packet: packet)
        connection.clientID = clientID
        connection.will = packet.will
        connection.send(
            ServerPacket.connack(
                sessionPresent: isPresent,
                code: 0,
                isV5: packet.isV5,
                properties: packet.isV5 ? properties : []
            )
        )
        online[clientID] = connection
        connection.accepted()
        kick(connection, at: expiresAt)
        resume(session, on: connection)
    }

    private func refuse(_ connection: BrokerConnection, v3: UInt8, v5: UInt8) {
        connection.send(
            ServerPacket.connack(sessionPresent: false, code: connection.isV5 ? v5 : v3, isV5: connection.isV5)
        )
        connection.close()
    }

    private func admission(of packet: ConnectPacket) -> Admission {
        let password = packet.password.map { String(decoding: $0, as: UTF8.self) }
        switch settings.authentication {
        case .none:
            return .accepted(expiresAt: nil)
        case .password(let expectedName, let expectedPassword):
            let isRight = packet.username == expectedName && password == expectedPassword
            return isRight ? .accepted(expiresAt: nil) : .refused
        case .token(let issuer, let kickOnExpiry):
            guard let password, let token = issuer.validate(password) else { return .refused }
            return .accepted(expiresAt: kickOnExpiry ? token.expiresAt : nil)
        }
    }

    /// The client's session, and whether it existed before.
    private func session(for clientID: String, packet: ConnectPacket) -> (BrokerSession, isPresent: Bool) {
        // MQTT 3.1.1 has no expiry: a session that is not clean is kept.
        let expiry: UInt32 =
            packet.isV5
            ? packet.properties.integer(PropertyID.sessionExpiryInterval) ?? 0
            : (packet.cleanStart ? 0 : .max)
        let existing = packet.cleanStart ? nil : sessions[clientID]
        let session = existing ?? BrokerSession(clientID: clientID, expiry: expiry)
        session.expiry = expiry
        if let receiveMaximum = packet.properties.integer(PropertyID.receiveMaximum) {
            session.receiveMaximum = min(1_000, max(1, Int(receiveMaximum)))
        }
        sessions[clientID] = session
        return (session, existing != nil)
    }

    private func kick(_ connection: BrokerConnection, at date: Date?) {
        guard let date else { return }
        connection.schedule(after: .seconds(date.timeIntervalSinceNow)) { $0.disconnect(reasonCode: 0x87) }
    }

    /// MQTT 5.0, 4.4: resends unacknowledged PUBLISH packets with DUP, and PUBREL packets, then sends queued messages.
    private func resume(_ session: BrokerSession, on connection: BrokerConnection) {
        for resend in session.resends() {
            switch resend {
            case .publish(let packetID):
                guard let message = session.unacknowledged(packetID: packetID) else { continue }
                connection.send(
                    ServerPacket.publish(message, packetID: packetID, dup: true, isV5: connection.isV5)
                )
            case .pubrel(let packetID):
                connection.send(ServerPacket.acknowledgement(.pubrel, packetID: packetID))
            }
        }
        pump(session)
    }
}

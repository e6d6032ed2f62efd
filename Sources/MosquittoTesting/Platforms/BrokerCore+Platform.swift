// SPDX-License-Identifier: Apache-2.0

internal import NIOCore

#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

/// The rules of a platform, applied to the packets of clients.
extension BrokerCore {
    /// Returns true if the platform accepts the CONNECT. Otherwise the connection is answered.
    func platformAdmits(_ packet: ConnectPacket, on connection: BrokerConnection) -> Bool {
        guard let platform = settings.platform else { return true }
        let verdict = platform.emulation.verdict(on: packet, applicationProtocol: connection.applicationProtocol)
        if case .refuse(let v3, let v5, let reason) = verdict {
            note(reason)
            let code = connection.isV5 ? v5 : v3
            connection.send(ServerPacket.connack(sessionPresent: false, code: code, isV5: connection.isV5))
            connection.close()
            return false
        }
        return follow(verdict, on: connection)
    }

    /// Returns true if the platform lets a later packet pass. Otherwise the connection is answered.
    func platformPasses(_ packet: ClientPacket, on connection: BrokerConnection) -> Bool {
        guard let emulation = settings.platform?.emulation else { return true }
        switch packet {
        case .publish(let publish):
            return follow(emulation.verdict(on: publish, state: &connection.platformState), on: connection)
        case .subscribe(let subscribe):
            return follow(emulation.verdict(on: subscribe), on: connection)
        case .disconnect(_, let properties):
            return follow(emulation.verdict(on: properties), on: connection)
        case .auth(let reasonCode, let properties):
            // MQTT 5.0, 3.15.2.1: 0x19, re-authenticate.
            guard reasonCode == 0x19 else {
                return follow(.refuse(v5: 0x82, "AUTH with reason code \(reasonCode)"), on: connection)
            }
            guard follow(emulation.verdict(onReauthentication: properties), on: connection) else { return false }
            let method = properties.filter { $0.identifier == PropertyID.authenticationMethod }
            connection.send(ServerPacket.auth(reasonCode: 0, properties: method))
            return true
        default: return true
        }
    }

    /// The SUBACK code of a filter that the platform refuses.
    func platformRefusal(of filter: String, session: BrokerSession, isV5: Bool) -> UInt8? {
        guard let platform = settings.platform else { return nil }
        let others = session.subscriptions.keys.count { $0 != filter }
        guard let code = platform.emulation.refusal(of: filter, subscriptions: others, isV5: isV5) else { return nil }
        note("a subscription to \(filter)")
        return code
    }

    private func follow(_ verdict: PlatformVerdict, on connection: BrokerConnection) -> Bool {
        switch verdict {
        case .pass(let expiry):
            if let expiry { expire(connection, at: expiry) }
            return true
        case .refuse(_, let v5, let reason):
            note(reason)
            connection.disconnect(reasonCode: v5)
        case .close(let reason):
            note(reason)
            connection.close()
        case .ignore(let reason): note(reason)
        }
        return false
    }

    /// Ends the connection at this date, unless it has later credentials then.
    private func expire(_ connection: BrokerConnection, at date: Date) {
        connection.credentialExpiry = date
        connection.schedule(after: .seconds(max(0, date.timeIntervalSinceNow))) { connection in
            guard let expiry = connection.credentialExpiry, expiry <= date else { return }
            connection.disconnect(reasonCode: 0x87)
        }
    }

    private func note(_ reason: String) { record.withState { $0.platformRefusals.append(reason) } }
}

// SPDX-License-Identifier: Apache-2.0

import Logging

/// Dispatch of the broker's packets to the parts of the session.
extension Session {
    func handlePackets(of connection: Connection) {
        var packets: [ServerPacket] = []
        swap(&packets, &emptyPackets)
        connection.takePackets(&packets)
        defer {
            // The memory of a burst is released.
            if packets.count <= 4_096 {
                packets.removeAll(keepingCapacity: true)
                swap(&packets, &emptyPackets)
            }
        }
        var messages: [IncomingMessage] = []
        var hasNotedAnswers = false
        for index in packets.indices {
            if case .publish(let message, let packetID) = packets[index] {
                if !hasNotedAnswers { inbox.published(packetID, message.qos) }
                if inbox.configuration.acknowledgesOnDelivery, message.isRepetition, message.qos != .atMostOnce,
                    !messages.isEmpty
                {
                    // Its acknowledgement, if due at once, must follow theirs (MQTT 5.0, section 4.6).
                    deliver(messages, connection)
                    messages = []
                }
                if messages.isEmpty { messages.reserveCapacity(packets.count) }
                if let message = inbox.receive(message, packetID) { messages.append(message) }
                continue
            }
            if !hasNotedAnswers {
                noteAnswers(to: packets[index...])
                hasNotedAnswers = true
            }
            writeAcknowledgements(connection)
            if !messages.isEmpty {
                deliver(messages, connection)
                messages = []
            }
            handle(packets[index], connection)
            guard self.connection === connection else { return }
        }
        writeAcknowledgements(connection)
        if !messages.isEmpty { deliver(messages, connection) }
        writeAcknowledgements(connection)
    }

    /// Records all answers to the rest of a batch before handling the first packet that is not a message: a DISCONNECT
    /// may be among its consequences, and no acknowledgement follows it.
    private func noteAnswers(to packets: ArraySlice<ServerPacket>) {
        for packet in packets {
            switch packet {
            case .publish(let message, let packetID): inbox.published(packetID, message.qos)
            case .pubrel(let packetID): inbox.answerRelease(packetID)
            case .pubrec(let received) where received.reasonCode < 0x80:
                inbox.answerTakeover(received.packetID)
            default: break
            }
        }
    }

    func handle(_ packet: ServerPacket, _ connection: Connection) {
        switch packet {
        case .publish: break
        case .pingresp: waiters.pingAnswered()
        case .connack(let connack): answered(connack, connection)
        case .pubrel(let packetID):
            if inbox.released(packetID) { needsFlush() }
        case .puback(let acknowledgement): acknowledged(publisher.finished(acknowledgement, .atLeastOnce))
        case .pubrec(let acknowledgement): acknowledged(publisher.takenOver(acknowledgement))
        case .pubcomp(let acknowledgement): acknowledged(publisher.finished(acknowledgement, .exactlyOnce))
        case .suback(let answer): subscribed(answer.packetID, answer.reasonCodes, answer.explanation)
        case .unsuback(let answer): unsubscribed(answer.packetID, answer.reasonCodes)
        case .disconnect(let disconnect): disconnected(disconnect)
        case .auth(let packet): authentication(packet)
        }
    }

    /// Handles the CONNACK. The decoder rejects a second one.
    private func answered(_ connack: Connack, _ connection: Connection) {
        guard case .dialing = machine.state, let verdict = dialer.judge(connack) else { return }
        switch verdict {
        case .success(let connack): accepted(connection, connack)
        case .failure(let error): refused(error)
        }
    }

    private func accepted(_ connection: Connection, _ connack: Connack) {
        let (sessionPresent, properties) = (connack.sessionPresent, connack.properties)
        dialer.answered(by: connection, of: machine.endpoint)
        if let name = connack.ignoredIdentifier {
            logger.debug("the broker assigned the client identifier \(quoted(name)), though it was given one")
        }
        publisher.connected(properties, isResumed: sessionPresent)
        inbox.connected(isResumed: sessionPresent, subscriber.table.consumers)
        if !sessionPresent {
            watchExpiry()
            carryOut(subscriber.sessionForgotten())
            carryOut(inbox.offerUnclaimed(&subscriber))
        }
        subscriber.connected(
            properties, usesIdentifiers: mayIdentify && properties.subscriptionIdentifiersAvailable)
        let info = MQTTConnectionInfo(
            attempt: 0, endpoint: machine.endpoint, address: connection.address, sessionPresent: sessionPresent,
            tls: connection.tlsInfo, clientID: configuration.effectiveClientID, properties: properties)
        keeper.accepted()
        perform(machine.accepted(info, refreshIn: keeper.refreshDelay(now: .now), now: .now))
    }

    /// True if overlapping filters get identifiers. In a persistent session this must be enabled explicitly, since
    /// identifiers of an earlier process may still be in use.
    var mayIdentify: Bool {
        guard configuration.version == .v5_0 else { return false }
        return configuration.receiving.usesSubscriptionIdentifiers ?? (configuration.session == .clean)
    }

    private func refused(_ refusal: MQTTError) {
        var error = refusal
        if error.code == .notAuthorized, configuration.credentials == nil, configuration.authenticator == nil {
            error.message += "; no credentials are configured"
            if configuration.tls?.identity != nil { error.message += " besides the client certificate" }
        }
        ended(error)
    }

    func disconnected(_ disconnect: ServerDisconnect) {
        var error = MQTTError.disconnect(
            MQTTReasonCode(rawValue: disconnect.reasonCode), reference: disconnect.serverReference)
        error.explain(disconnect.explanation)
        ended(error)
    }
}

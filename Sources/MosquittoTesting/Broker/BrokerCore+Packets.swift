// SPDX-License-Identifier: Apache-2.0

internal import NIOCore

extension BrokerCore {
    /// Handles a packet of a client whose CONNECT was accepted.
    func receive(_ packet: ClientPacket, from connection: BrokerConnection) throws(MQTTCodecError) {
        guard let clientID = connection.clientID, let session = sessions[clientID] else { return }
        guard platformPasses(packet, on: connection) else { return }
        switch packet {
        case .connect, .auth:
            // A second CONNECT is refused earlier. AUTH is answered by the rules of a platform, or ignored.
            break
        case .publish(let publish):
            try receive(publish, from: connection, session: session)
        case .puback(let packetID), .pubcomp(let packetID):
            session.complete(packetID: packetID)
            pump(session)
        case .pubrec(let packetID, let reasonCode):
            receivePubrec(packetID, reasonCode: reasonCode, from: connection, session: session)
        case .pubrel(let packetID):
            if let message = session.takeReceived(packetID: packetID) { route(message) }
            connection.send(ServerPacket.acknowledgement(.pubcomp, packetID: packetID))
        case .subscribe(let subscribe):
            receive(subscribe, from: connection, session: session)
        case .unsubscribe(let packetID, let filters):
            // MQTT 5.0, 3.11.3: 0x11, no subscription existed.
            let codes: [UInt8] = filters.map { session.subscriptions.removeValue(forKey: $0) == nil ? 0x11 : 0x00 }
            connection.send(ServerPacket.unsuback(packetID: packetID, codes: codes, isV5: connection.isV5))
        case .pingreq:
            connection.send(ServerPacket.pingresp)
        case .disconnect(let reasonCode, let properties):
            receiveDisconnect(reasonCode: reasonCode, properties: properties, from: connection, session: session)
        }
    }

    private func receive(
        _ publish: PublishPacket,
        from connection: BrokerConnection,
        session: BrokerSession
    ) throws(MQTTCodecError) {
        var publish = publish
        if let alias = publish.properties.integer(PropertyID.topicAlias) {
            if publish.topic.isEmpty {
                publish.topic = connection.topicAliases[alias] ?? ""
            } else {
                connection.topicAliases[alias] = publish.topic
            }
        }
        guard !publish.topic.isEmpty, !publish.topic.contains("#"), !publish.topic.contains("+") else {
            throw MQTTCodecError("PUBLISH to topic \"\(publish.topic)\"")
        }
        record.publish(publish, clientID: session.clientID)
        let message = BrokerMessage(
            topic: publish.topic,
            payload: publish.payload,
            qos: publish.qos,
            retain: publish.retain,
            properties: publish.properties.filter { $0.identifier != PropertyID.topicAlias },
            publisher: session.clientID
        )
        switch publish.qos {
        case 0:
            route(message)
        case 1:
            route(message)
            if connection.mayAcknowledge() {
                connection.send(ServerPacket.acknowledgement(.puback, packetID: publish.packetID))
            }
        default:
            session.receive(message, packetID: publish.packetID)
            connection.send(ServerPacket.acknowledgement(.pubrec, packetID: publish.packetID))
        }
    }

    private func receivePubrec(
        _ packetID: UInt16,
        reasonCode: UInt8,
        from connection: BrokerConnection,
        session: BrokerSession
    ) {
        // MQTT 5.0, 4.13.2: 0x80 and above is an error, which ends the exchange.
        guard reasonCode < 0x80 else {
            session.complete(packetID: packetID)
            pump(session)
            return
        }
        session.release(packetID: packetID)
        connection.send(ServerPacket.acknowledgement(.pubrel, packetID: packetID))
    }

    private func receive(_ subscribe: SubscribePacket, from connection: BrokerConnection, session: BrokerSession) {
        var codes: [UInt8] = []
        var retainedDeliveries: [BrokerSession.Subscription] = []
        for (filter, requested) in subscribe.requests {
            if let code = platformRefusal(of: filter, session: session, isV5: connection.isV5) {
                codes.append(code)
                continue
            }
            let highest = settings.platform?.emulation.grantedQoS ?? 2
            let options = requested & 0x03 == 2 ? requested & ~0x03 | highest : requested
            guard
                let subscription = subscription(
                    to: filter,
                    options: options,
                    identifier: subscribe.subscriptionIdentifier,
                    isV5: connection.isV5
                )
            else {
                // MQTT 5.0, 3.9.3: 0x8F, topic filter invalid. MQTT 3.1.1 has 0x80, failure.
                codes.append(connection.isV5 ? 0x8F : 0x80)
                continue
            }
            let isNew = session.subscriptions.updateValue(subscription, forKey: filter) == nil
            codes.append(subscription.qos)
            let retainHandling = connection.isV5 ? options >> 4 & 0x03 : 0
            // MQTT 5.0, 4.8.2: shared subscriptions receive no retained messages.
            if subscription.shareGroup == nil, retainHandling == 0 || (retainHandling == 1 && isNew) {
                retainedDeliveries.append(subscription)
            }
        }
        connection.send(ServerPacket.suback(packetID: subscribe.packetID, codes: codes, isV5: connection.isV5))
        for subscription in retainedDeliveries {
            for message in retained.values
            where TopicMatching.matches(filter: subscription.levels, topic: TopicMatching.levels(of: message.topic)) {
                deliver(message, to: session, matching: [subscription], isRetained: true)
            }
        }
    }

    /// MQTT 5.0, 3.8.3.1 (options) and 4.8.2 (`$share/group/filter`).
    private func subscription(
        to filter: String,
        options: UInt8,
        identifier: UInt32?,
        isV5: Bool
    ) -> BrokerSession.Subscription? {
        let qos = options & 0x03
        guard TopicMatching.isValid(filter: filter), qos < 3 else { return nil }
        var levels = TopicMatching.levels(of: filter)
        var shareGroup: String?
        if levels[0] == "$share" {
            guard levels.count > 2 else { return nil }
            shareGroup = String(levels[1])
            levels.removeFirst(2)
        }
        return BrokerSession.Subscription(
            levels: levels,
            shareGroup: shareGroup,
            qos: qos,
            noLocal: isV5 && options & 0x04 != 0,
            retainAsPublished: isV5 && options & 0x08 != 0,
            identifier: identifier
        )
    }

    private func receiveDisconnect(
        reasonCode: UInt8?,
        properties: [ReceivedProperty],
        from connection: BrokerConnection,
        session: BrokerSession
    ) {
        record.withState { $0.disconnects.append(reasonCode) }
        // MQTT 5.0, 3.14.2.1: 0x04, disconnect with will message. Of the other codes only 0 discards the will, which
        // MQTT 3.1.1 always means.
        if (reasonCode ?? 0) == 0 { connection.will = nil }
        if let expiry = properties.integer(PropertyID.sessionExpiryInterval) { session.expiry = expiry }
        connection.close()
    }
}

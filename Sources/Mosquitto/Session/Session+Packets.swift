import Logging

/// Packets of the broker, each to the part of the session that it concerns.
extension Session {
    func handleEvents(of connection: Connection) {
        var events: [MosquittoEvent] = []
        swap(&events, &emptyEvents)
        connection.takeEvents(&events)
        defer {
            // After a burst, its memory is given back.
            if events.count <= 4_096 {
                events.removeAll(keepingCapacity: true)
                swap(&events, &emptyEvents)
            }
        }
        var messages: [IncomingMessage] = []
        for event in events {
            if case .message(let message, let packetID) = event {
                if acknowledgesOnDelivery, message.isRepetition, message.qos != .atMostOnce, !messages.isEmpty {
                    // Its acknowledgement, if one is due at once, is behind theirs (MQTT 5.0, section 4.6).
                    deliver(messages)
                    messages = []
                }
                if messages.isEmpty { messages.reserveCapacity(events.count) }
                if let message = received(message, packetID) { messages.append(message) }
                continue
            }
            if !messages.isEmpty {
                deliver(messages)
                messages = []
            }
            handle(event, connection)
            guard self.connection === connection else { return }
        }
        if !messages.isEmpty { deliver(messages) }
    }

    func handle(_ event: MosquittoEvent, _ connection: Connection) {
        switch event {
        case .message: break
        case .connack(let code, let sessionPresent, let properties):
            code == 0 ? accepted(connection, sessionPresent, properties) : refused(code, properties)
        case .released(let packetID):
            unreleased[packetID] = nil
            if unfinished.remove(packetID) != nil {
                releases += 1
                if unfinished.isEmpty { needsFlush() }
            }
        case .acknowledged(let acknowledgement): acknowledged(publisher.finished(acknowledgement, .atLeastOnce))
        case .publishReceived(let acknowledgement): acknowledged(publisher.takenOver(acknowledgement))
        case .completed(let acknowledgement): acknowledged(publisher.finished(acknowledgement, .exactlyOnce))
        case .subscribed(let packetID, let codes, let explanation): subscribed(packetID, codes, explanation)
        case .unsubscribed(let packetID, let codes, let explanation): unsubscribed(packetID, codes, explanation)
        case .serverDisconnect(let disconnect): disconnected(disconnect)
        case .authentication(let packet): authentication(packet)
        }
    }

    func accepted(_ connection: Connection, _ sessionPresent: Bool, _ properties: MQTTConnackProperties) {
        guard case .dialing = machine.state else {
            return ended(MQTTError(.protocolViolation, "the broker sent a second CONNACK"))
        }
        addressMemory.answered(by: connection.address, of: machine.endpoint)
        if let name = connection.ignoredIdentifier {
            logger.debug("the broker assigned the client identifier \(quoted(name)), though it was given one")
        }
        publisher.connected(properties, isResumed: sessionPresent)
        if sessionPresent {
            resumeUnclaimed()
        } else {
            watchExpiry()
            sessionForgotten()
            unreleased.removeAll()
            offerUnclaimed()
        }
        subscriptions.usesIdentifiers = mayIdentify && properties.subscriptionIdentifiersAvailable
        let info = MQTTConnectionInfo(
            attempt: 0, endpoint: machine.endpoint, address: connection.address, sessionPresent: sessionPresent,
            tls: connection.tlsInfo, clientID: configuration.effectiveClientID, properties: properties)
        keeper.accepted()
        perform(machine.accepted(info, refreshIn: keeper.refreshDelay(now: .now), now: .now))
    }

    /// Whether overlapping filters have identifiers. In a persistent session those of an earlier process may still be in use, so
    /// there it has to be asked for.
    var mayIdentify: Bool {
        guard configuration.version == .v5_0 else { return false }
        return configuration.usesSubscriptionIdentifiers ?? (configuration.session == .clean)
    }

    func refused(_ code: UInt8, _ properties: MQTTConnackProperties) {
        let isVersion5 = configuration.version == .v5_0 || code >= 0x80
        var error = MQTTError.refusal(isVersion5 ? .v5(MQTTReasonCode(rawValue: code)) : .v3(code))
        error.reasonString = properties.reasonString
        error.userProperties = properties.userProperties
        error.serverReference = properties.serverReference
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

// SPDX-License-Identifier: Apache-2.0

import Logging

/// Encoding of messages into packets, within the limits of the window, the socket and the turn.
extension Publisher {
    /// The work of one turn of the loop, one write at a time.
    struct Turn {
        fileprivate enum Step { case sendAgain, putBack, queued, over }
        fileprivate var step = Step.sendAgain
        fileprivate var allowance = OutgoingQueue.Allowance(messages: 0, bytes: 0, acknowledged: 0, exactlyOnce: 0)
        fileprivate var isLastChunk = false
        /// False if the connection is being closed, and waits for no filter.
        fileprivate let isConnected: Bool

        init(isConnected: Bool) { self.isConnected = isConnected }
    }

    /// The limit of a turn, so that other clients of the loop get their turn.
    private static let turnLimit = (messages: 2_048, bytes: 1 << 20)

    /// Number of messages taken from the queue at a time.
    private static let chunk = 256

    /// Number of bytes encrypted in one call: a few full records of TLS.
    private static let writeSize = 1 << 16

    /// Counts the time for the limit of the rate. Called before a turn of a client with one.
    mutating func advancePace(now: ContinuousClock.Instant) { pace?.refill(now: now) }

    /// The time until the limit of the rate lets the next message go; `nil` if no message waits for it.
    var paceDelay: Duration? {
        guard let pace, !pace.permits, hasWaiting || !unsentAgain.isEmpty else { return nil }
        return pace.delay
    }

    /// Packets to write, until ``written(wire:)``.
    var bytes: [UInt8] { encoder.bytes }

    /// Encodes the next packets of a turn, as many as one write takes. Returns true if there are any: the caller must
    /// then write them, and call again until the result is false.
    ///
    /// - Parameter isBacklogged: true if the socket accepts no more bytes for now.
    mutating func encode(_ turn: inout Turn, isBacklogged: Bool, _ suspects: inout Suspects) -> Bool {
        if turn.step == .sendAgain {
            if !isBacklogged { sendAgain(upTo: suspects.window(isConnected: turn.isConnected)) }
            if isFull { return true }
            turn.allowance = allowance
            turn.step = .putBack
            if !encoder.bytes.isEmpty { return true }
        }
        if turn.step == .putBack {
            while let publish = pending.first, turn.allowance.permits(publish),
                mayPublish(publish, suspects, isConnected: turn.isConnected)
            {
                pending.remove(publish)
                turn.allowance.spend(on: publish)
                handOver(publish)
                if isFull { return true }
            }
            turn.step = pending.isEmpty && mayPublishNew(&suspects, isConnected: turn.isConnected) ? .queued : .over
        }
        if turn.step == .queued { encodeQueued(&turn) }
        return !encoder.bytes.isEmpty
    }

    /// Records that the packets were written at these positions of the connection's bytes.
    ///
    /// - Parameter headerRoom: the room for the header of a WebSocket frame in front of them.
    /// - Parameter recordSize: the number of plaintext bytes in a full TLS record.
    mutating func written(wire: Range<Int>, headerRoom: Int = 0, recordSize: Int = TLSRecord.size) {
        unsent.written(encoder.bytes.count, wire: wire, headerRoom: headerRoom, recordSize: recordSize)
        encoder.removeAll()
    }

    /// Completes the messages of QoS 0 whose bytes the kernel has accepted.
    mutating func sent(upTo position: Int) {
        while let publish = unsent.popFirst(sent: position) { succeed(publish, .success) }
    }

    /// Returns true if the next turn has something to send.
    mutating func hasNext(_ suspects: inout Suspects, isConnected: Bool) -> Bool {
        if let publish = pending.first {
            return allowance.permits(publish) && mayPublish(publish, suspects, isConnected: isConnected)
        }
        return queue.hasNext(allowance) && mayPublishNew(&suspects, isConnected: isConnected)
    }

    private var isFull: Bool { encoder.bytes.count >= Self.writeSize }

    /// The allowance of this turn. Messages of QoS 0 need no packet identifier; others wait for messages to be resent,
    /// and for the window.
    private var allowance: OutgoingQueue.Allowance {
        let window = unsentAgain.isEmpty ? window - inFlight.count : 0
        var allowance = OutgoingQueue.Allowance(
            messages: Self.turnLimit.messages, bytes: Self.turnLimit.bytes, acknowledged: window,
            exactlyOnce: exactlyOnceLimit - inFlight.exactlyOnce)
        if let pace {
            allowance.messages = min(allowance.messages, pace.allowedMessages)
            allowance.bytes = min(allowance.bytes, pace.allowedBytes)
        }
        return allowance
    }

    /// Maximum number of QoS 2 messages in flight. MQTT 3.1.1 has no Receive Maximum, but mosquitto up to 2.0 has
    /// `max_inflight_messages`, by default 20: more QoS 2 messages make it close the connection. As many make it
    /// acknowledge a QoS 1 message and drop it, hence one less.
    private var exactlyOnceLimit: Int { configuration.version != .v5_0 ? 19 : .max }

    private func mayPublish(_ publish: OutgoingPublish, _ suspects: borrowing Suspects, isConnected: Bool) -> Bool {
        suspects.permits(
            publish, sent: inFlight.count - unsentAgain.count, inFlight: inFlight.count, isConnected: isConnected)
    }

    private func mayPublishNew(_ suspects: inout Suspects, isConnected: Bool) -> Bool {
        suspects.permitsOthers(inFlight: inFlight.count, isConnected: isConnected)
    }

    // MARK: New messages

    private mutating func encodeQueued(_ turn: inout Turn) {
        while true {
            while nextTaken < taken.count {
                handOver(taken[nextTaken])
                nextTaken += 1
                if isFull { return }
            }
            taken.removeAll(keepingCapacity: true)
            nextTaken = 0
            if turn.isLastChunk {
                turn.step = .over
                return
            }
            queue.take(Self.chunk, &turn.allowance, into: &taken)
            turn.isLastChunk = taken.count < Self.chunk
        }
    }

    private mutating func handOver(_ publish: OutgoingPublish) {
        do throws(MQTTError) {
            try encode(publish)
        } catch {
            refuse(publish, error)
        }
    }

    private mutating func encode(_ publish: OutgoingPublish) throws(MQTTError) {
        var header = PublishEncoder.Header()
        if publish.isExpiring {
            let now = ContinuousClock.now
            if publish.hasExpired(now) { throw Self.expired }
            header.expiry = publish.remainingExpiryInterval(now)
        }
        try checkLimits(of: publish)
        header.alias = aliases.alias(of: publish.topic)
        header.packetID = publish.qos == .atMostOnce ? identifiers.count() : try identifiers.take()
        try encode(publish, header)
        pace?.spend(on: publish)
        if let alias = header.alias, !alias.isKnown { aliases.told(publish.topic, alias.number) }
        if publish.qos == .atMostOnce {
            unsent.append(publish, end: encoder.bytes.count)
        } else {
            lastSequence = publish.sequence
            inFlight.insert(publish, header.packetID)
        }
    }

    /// Throws if the CONNACK of this connection rules the message out.
    private func checkLimits(of publish: OutgoingPublish) throws(MQTTError) {
        guard let limits else { return }
        if publish.qos > limits.maximumQoS {
            throw .operationRefused(.qosNotSupported, "the broker takes QoS \(limits.maximumQoS.rawValue) at most")
        }
        if publish.retain, !limits.retainAvailable {
            throw .operationRefused(.retainNotSupported, "the broker does not keep retained messages")
        }
        if !aliases.areAllowed {
            // MQTT 5.0, section 3.3.2.3.4.
            throw .operationRefused(
                .topicAliasInvalid, "the broker takes topic aliases up to \(limits.topicAliasMaximum)")
        }
    }

    private mutating func encode(_ publish: OutgoingPublish, _ header: PublishEncoder.Header) throws(MQTTError) {
        if encoder.append(publish, header, limit: limits?.maximumPacketSize) {
            trace(publish, header)
            return
        }
        if publish.qos != .atMostOnce { identifiers.free(header.packetID) }
        throw .operationRefused(.packetTooLarge, "the message is larger than the broker takes")
    }

    /// Logs a packet in libmosquitto's format.
    private func trace(_ publish: OutgoingPublish, _ header: PublishEncoder.Header) {
        logger.trace(
            """
            Client \(configuration.clientID) sending PUBLISH (d\(header.isDuplicate ? 1 : 0), q\(publish.qos.rawValue), \
            r\(publish.retain ? 1 : 0), m\(header.packetID), '\(publish.topic)', ... (\(publish.payload.count) bytes))
            """)
    }

    // MARK: Resending

    /// Resends the messages in flight, as a PUBREL after a PUBREC. The Receive Maximum may be smaller than before.
    private mutating func sendAgain(upTo allowed: Int) {
        while !isFull, let packetID = unsentAgain.first {
            if let publish = inFlight[packetID] {
                if publish.received != nil {
                    encoder.appendRelease(packetID)
                    logger.trace("Client \(configuration.clientID) sending PUBREL (m\(packetID))")
                } else {
                    guard inFlight.count - unsentAgain.count < min(window, allowed), pace?.permits != false else {
                        break
                    }
                    encodeAgain(publish, packetID)
                }
            }
            unsentAgain.removeFirst()
        }
    }

    private mutating func encodeAgain(_ publish: OutgoingPublish, _ packetID: UInt16) {
        publish.isRepeated = true
        lastSequence = max(lastSequence, publish.sequence)
        var header = PublishEncoder.Header(packetID: packetID, isDuplicate: true)
        // The broker may have the message already: it must not expire here.
        header.expiry = publish.remainingExpiryInterval(.now).map { max($0, 1) }
        do throws(MQTTError) {
            try checkLimits(of: publish)
            try encode(publish, header)
            pace?.spend(on: publish)
        } catch {
            _ = inFlight.remove(packetID)
            refuse(publish, error)
        }
    }
}

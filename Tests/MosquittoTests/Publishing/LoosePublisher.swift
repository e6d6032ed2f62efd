// SPDX-License-Identifier: Apache-2.0

import Logging

@testable import Mosquitto

/// A ``Publisher`` without a session: a connection is a count of bytes.
final class LoosePublisher {
    let queue: OutgoingQueue
    var publisher: Publisher
    var suspects = Suspects()
    private(set) var position = 0

    init(_ change: (inout Publisher.Configuration) -> Void = { _ in }, _ policy: MQTTQueuePolicy = MQTTQueuePolicy()) {
        var configuration = Publisher.Configuration()
        change(&configuration)
        queue = OutgoingQueue(policy)
        publisher = Publisher(configuration, queue: queue, logger: quiet)
    }

    // MARK: Looks

    // A macro cannot inspect a noncopyable value.
    var count: Int { publisher.count }
    var lost: Int { publisher.lost }
    var hasMessages: Bool { publisher.hasMessages }
    var inFlight: Int { publisher.inFlight.count }
    func isInUse(_ packetID: UInt16) -> Bool { publisher.identifiers.isInUse(packetID) }
    var window: Int { publisher.window }

    func hasNext() -> Bool { publisher.hasNext(&suspects, isConnected: true) }
    func hasProgressed() -> Bool { publisher.hasProgressed() }
    func expiresInFlight(isOffline: Bool) -> Bool { publisher.expires(isQueued: false, isOffline: isOffline) }

    func convict(_ error: MQTTError, where isSuspect: (OutgoingPublish) -> Bool) -> Bool {
        publisher.convict(error, where: isSuspect)
    }

    // MARK: Callers

    @discardableResult
    func enqueue(
        _ topic: String, _ qos: MQTTQoS = .atLeastOnce, bytes: Int = 0, retain: Bool = false, expiry: UInt32? = nil
    ) throws -> OutgoingPublish {
        let publish = make(topic, qos, bytes: bytes, retain: retain, expiry: expiry)
        _ = try queue.post(publish)
        return publish
    }

    /// The outcome of a publish, during which this happens.
    func outcome(
        _ topic: String, _ qos: MQTTQoS = .atLeastOnce, bytes: Int = 0, retain: Bool = false, expiry: UInt32? = nil,
        _ body: (OutgoingPublish) -> Void
    ) async -> OutgoingPublish.Outcome {
        let publish = make(topic, qos, bytes: bytes, retain: retain, expiry: expiry)
        return await withUnsafeContinuation { continuation in
            do throws(MQTTError) {
                _ = try queue.post(publish, continuation)
                body(publish)
            } catch {
                continuation.resume(returning: .failure(error))
            }
        }
    }

    private func make(
        _ topic: String, _ qos: MQTTQoS, bytes: Int, retain: Bool, expiry: UInt32?
    ) -> OutgoingPublish {
        OutgoingPublish(
            topic: topic, payload: [UInt8](repeating: 0, count: bytes), qos: qos, retain: retain,
            properties: MQTTPublishProperties(messageExpiryInterval: expiry))
    }

    // MARK: The connection

    func connect(isResumed: Bool = false, _ change: (inout MQTTConnackProperties) -> Void = { _ in }) {
        var properties = MQTTConnackProperties()
        change(&properties)
        position = 0
        suspects.connected()
        publisher.connected(properties, isResumed: isResumed)
        publisher.setOffline(false)
    }

    /// Ends the connection after the kernel has accepted this number of bytes.
    func disconnect(sent: Int? = nil) {
        publisher.connectionClosed(sent: sent ?? position)
        publisher.attemptEnded()
        suspects.connectionEnded()
        publisher.setOffline(true)
    }

    /// Writes the output of a turn. Returns its packets.
    @discardableResult
    func turn(isBacklogged: Bool = false, isConnected: Bool = true) -> [String] {
        var turn = Publisher.Turn(isConnected: isConnected)
        var packets: [String] = []
        while publisher.encode(&turn, isBacklogged: isBacklogged, &suspects) {
            let bytes = publisher.bytes
            packets += Self.packets(bytes)
            publisher.written(wire: position..<position + bytes.count)
            position += bytes.count
        }
        return packets
    }

    /// PUBACK or PUBCOMP.
    @discardableResult
    func acknowledge(_ packetID: UInt16, _ qos: MQTTQoS = .atLeastOnce, _ reasonCode: UInt8 = 0) -> Publisher.Answer {
        publisher.finished(Acknowledgement(packetID: packetID, reasonCode: reasonCode), qos)
    }

    /// PUBREC.
    @discardableResult
    func receive(_ packetID: UInt16, _ reasonCode: UInt8 = 0) -> Publisher.Answer {
        publisher.takenOver(Acknowledgement(packetID: packetID, reasonCode: reasonCode))
    }

    /// "topic q1 #2 dup" for each PUBLISH, "release #2" for a PUBREL.
    private static func packets(_ bytes: [UInt8]) -> [String] {
        var packets: [String] = []
        var rest = bytes[...]
        while let first = rest.popFirst() {
            var (length, shift) = (0, 0)
            while let byte = rest.popFirst() {
                length |= Int(byte & 0x7F) << shift
                shift += 7
                if byte < 0x80 { break }
            }
            packets.append(describe(first, Array(rest.prefix(length))))
            rest = rest.dropFirst(length)
        }
        return packets
    }

    private static func describe(_ first: UInt8, _ body: [UInt8]) -> String {
        if first == 0x62 { return "release #\(Int(body[0]) << 8 | Int(body[1]))" }
        let end = 2 + (Int(body[0]) << 8 | Int(body[1]))
        let qos = first >> 1 & 3
        let packetID = qos == 0 ? "" : " #\(Int(body[end]) << 8 | Int(body[end + 1]))"
        return "\(String(decoding: body[2..<end], as: UTF8.self)) q\(qos)\(packetID)\(first & 8 == 0 ? "" : " dup")"
    }
}

extension Publisher.Answer {
    var isUnknown: Bool { if case .unknown = self { true } else { false } }
    var violation: MQTTError? { if case .violation(let error) = self { error } else { nil } }
    var refusal: MQTTReasonCode? { if case .answered(_, let code) = self { code } else { nil } }
}

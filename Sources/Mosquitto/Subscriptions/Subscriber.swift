// SPDX-License-Identifier: Apache-2.0

import Logging
import OrderedCollections

/// Owns the client's subscriptions: the filters to subscribe to, the broker's answers, and the callers that wait for
/// them. A value without a connection: calls and packets go in, ``Action``s come out, to be performed in order.
///
/// ``SubscriptionTable`` owns the consumers and their filters. SUBSCRIBE: Subscriber+Subscribing; UNSUBSCRIBE:
/// Subscriber+Unsubscribing.
struct Subscriber {
    struct Configuration {
        var version: MQTTVersion
        var clientID: String
        /// True in a persistent session, where a filter outlives its consumers.
        var keepsFilters: Bool
        var maximumFilters: Int
    }

    /// A request to the broker to add or to remove the subscription to a filter.
    enum Request: Hashable {
        case subscription(String)
        case unsubscription(String)
    }

    enum Action {
        /// Send a SUBSCRIBE or UNSUBSCRIBE with this packet identifier.
        case send([UInt8], UInt16)
        case resume(WaiterID, Result<[MQTTReasonCode], MQTTError>)
        /// The broker has answered a request, whatever the answer.
        case answered(Request)
        /// A SUBACK contains this reason code, which may mean more than a refused filter.
        case denied(MQTTReasonCode)
        /// The broker has granted filters again that have no waiting caller.
        case resubscribed([String])
        /// The broker refuses a filter that it had granted.
        case refused(MQTTTopicFilter, MQTTError)
    }

    let configuration: Configuration
    let identifiers: PacketIdentifiers
    let logger: Logger

    var table = SubscriptionTable()
    var subscribing: [SubscribeOperation] = []
    /// Unanswered SUBSCRIBE packets without a waiting caller.
    var restoring: [UInt16: Restoration] = [:]
    /// Filters whose refusal was reported to a consumer.
    var refusedFilters: Set<String> = []
    var unsubscribing: [UnsubscribeOperation] = []
    /// The filters of unanswered UNSUBSCRIBE packets.
    var unanswered: [UInt16: [String]] = [:]
    /// Filters that were explicitly unsubscribed in this session.
    var endedFilters: OrderedSet<MQTTTopicFilter> = []
    /// Maximum number of filters in a packet; lowered after a broker has closed the connection over more.
    private(set) var maximumFilters: Int
    /// The properties of this connection's CONNACK.
    private(set) var limits: MQTTConnackProperties?

    init(_ configuration: Configuration, _ identifiers: PacketIdentifiers, logger: Logger) {
        self.configuration = configuration
        self.identifiers = identifiers
        self.logger = logger
        maximumFilters = configuration.maximumFilters
    }

    /// True while a call waits for the broker's answer.
    var awaitsAnswer: Bool { !subscribing.isEmpty || !unanswered.isEmpty }

    // MARK: Connections

    /// Begins a connection after its CONNACK.
    ///
    /// - Parameter usesIdentifiers: true if overlapping filters have Subscription Identifiers.
    mutating func connected(_ properties: MQTTConnackProperties, usesIdentifiers: Bool) {
        limits = properties
        table.usesIdentifiers = usesIdentifiers
    }

    /// Handles the end of the connection. In a session that the broker keeps, the subscriptions still exist.
    mutating func connectionEnded() -> [Action] {
        limits = nil
        for packetID in unansweredSubscribes.keys { identifiers.free(packetID) }
        restoring = [:]
        for index in subscribing.indices { subscribing[index].connectionEnded() }
        let filters = unanswered.values.flatMap { $0 }
        forgetUnanswered()
        if filters.isEmpty { return [] }
        table.abandon(filters)
        return keepSubscribed(filters)
    }

    /// Records that the broker has no session, and thus no subscription.
    mutating func sessionForgotten() -> [Action] {
        table.forgetSession()
        endedFilters.removeAll()
        forgetUnanswered()
        for index in unsubscribing.indices {
            for filter in unsubscribing[index].open {
                unsubscribing[index].reasonCodes[filter] = .noSubscriptionExisted
            }
            unsubscribing[index].open.removeAll()
        }
        return finishUnsubscribing()
    }

    private mutating func forgetUnanswered() {
        for packetID in unanswered.keys { identifiers.free(packetID) }
        unanswered = [:]
    }

    // MARK: Packets

    /// Returns a packet with a new identifier. Throws if no identifier is free, or if the packet is larger than the
    /// broker accepts.
    func makePacket(
        _ name: String, _ encode: (UInt16, MQTTVersion) -> [UInt8]
    ) throws(MQTTError) -> (packet: [UInt8], packetID: UInt16) {
        let packetID = try identifiers.take()
        let packet = encode(packetID, configuration.version)
        let limit = limits?.maximumPacketSize.map { Int($0) } ?? .max
        if packet.count <= min(limit, VariableByteInteger.maximum) { return (packet, packetID) }
        identifiers.free(packetID)
        let taker = packet.count > VariableByteInteger.maximum ? "MQTT allows" : "the broker takes"
        throw .operationRefused(.packetTooLarge, "the \(name) is larger than \(taker)")
    }

    // MARK: Unanswered requests

    /// The filters of each unanswered SUBSCRIBE.
    var unansweredSubscribes: [UInt16: [String]] {
        var filters = restoring.mapValues(\.filters)
        for operation in subscribing { filters.merge(operation.packetIDs) { first, _ in first } }
        return filters
    }

    /// The filters of all unanswered SUBSCRIBE packets.
    var askedFilters: Set<String> { Set(unansweredSubscribes.values.joined()) }

    /// Halves the number of filters in later packets: the broker has closed the connection over one with `count`
    /// filters, and some brokers accept only a few.
    mutating func halveFilters(of count: Int) {
        guard count > 1 else { return }
        maximumFilters = max(1, min(maximumFilters, count) / 2)
        logger.notice("fewer filters in a packet", metadata: ["mqtt.maximum_filters": "\(maximumFilters)"])
    }
}

import Logging
import OrderedCollections

/// Owns the client's subscriptions: which filters the broker is asked for, what it has answered, and which callers wait for that.
/// A value without a connection: calls and packets go in, ``Action``s come out, in the order in which they are to be carried out.
///
/// Consumers and their filters: ``SubscriptionTable``. SUBSCRIBE: Subscriber+Subscribing; UNSUBSCRIBE:
/// Subscriber+Unsubscribing.
struct Subscriber {
    struct Configuration {
        var version: MQTTVersion
        var clientID: String
        /// True in a persistent session, where a filter outlives its consumers.
        var keepsFilters: Bool
        var maximumFilters: Int
    }

    /// A filter that the broker is asked for, or asked to drop.
    enum Request: Hashable {
        case subscription(String)
        case unsubscription(String)
    }

    enum Action {
        /// A SUBSCRIBE or UNSUBSCRIBE with this packet identifier.
        case send([UInt8], UInt16)
        case resume(WaiterID, Result<[MQTTReasonCode], MQTTError>)
        /// The broker has answered a request, whatever it said.
        case answered(Request)
        /// A SUBACK has this reason code, which may say more than that a filter is refused.
        case denied(MQTTReasonCode)
        /// The broker has granted filters again for which no caller waits.
        case resubscribed([String])
        /// The broker refuses a filter that it had granted.
        case refused(MQTTTopicFilter, MQTTError)
    }

    let configuration: Configuration
    let identifiers: PacketIdentifiers
    let logger: Logger

    var table = SubscriptionTable()
    var subscribing: [SubscribeOperation] = []
    /// SUBSCRIBE packets under way for which nobody waits.
    var restoring: [UInt16: Restoration] = [:]
    /// Filters of which a consumer was told that they are refused.
    var refusedFilters: Set<String> = []
    var unsubscribing: [UnsubscribeOperation] = []
    /// The filters of UNSUBSCRIBE packets under way.
    var unanswered: [UInt16: [String]] = [:]
    /// Filters that were ended explicitly in this session.
    var endedFilters: OrderedSet<MQTTTopicFilter> = []
    /// The largest number of filters in a packet: less than configured if a broker closed over more.
    private(set) var maximumFilters: Int
    /// The CONNACK of this connection.
    private(set) var limits: MQTTConnackProperties?

    init(_ configuration: Configuration, _ identifiers: PacketIdentifiers, logger: Logger) {
        self.configuration = configuration
        self.identifiers = identifiers
        self.logger = logger
        maximumFilters = configuration.maximumFilters
    }

    /// True while a call waits for a packet of the broker.
    var awaitsAnswer: Bool { !subscribing.isEmpty || !unanswered.isEmpty }

    // MARK: Connections

    /// A CONNACK has come.
    ///
    /// - Parameter usesIdentifiers: true if overlapping filters have Subscription Identifiers.
    mutating func connected(_ properties: MQTTConnackProperties, usesIdentifiers: Bool) {
        limits = properties
        table.usesIdentifiers = usesIdentifiers
    }

    /// The connection is gone. A session that the broker keeps has the subscriptions still.
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

    /// The broker has no session, and no subscription in it.
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

    /// Makes a packet with an identifier of its own. Throws if there is none, or the packet is larger than the broker takes.
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

    // MARK: Requests under way

    /// The filters of each SUBSCRIBE under way.
    var unansweredSubscribes: [UInt16: [String]] {
        var filters = restoring.mapValues(\.filters)
        for operation in subscribing { filters.merge(operation.packetIDs) { first, _ in first } }
        return filters
    }

    /// The filters that the broker is being asked for.
    var askedFilters: Set<String> { Set(unansweredSubscribes.values.joined()) }

    /// Puts fewer filters into a packet from now on: the broker has closed over one with so many, and some take only a few.
    mutating func halveFilters(of count: Int) {
        guard count > 1 else { return }
        maximumFilters = max(1, min(maximumFilters, count) / 2)
        logger.notice("fewer filters in a packet", metadata: ["mqtt.maximum_filters": "\(maximumFilters)"])
    }
}

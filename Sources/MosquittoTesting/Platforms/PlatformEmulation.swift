// SPDX-License-Identifier: Apache-2.0

internal import NIOCore

#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

/// The decision of a platform about a packet.
enum PlatformVerdict {
    /// The packet passes; the credentials of a CONNECT or AUTH are valid until this date.
    case pass(until: Date? = nil)
    /// CONNACK with this code, or DISCONNECT for a later packet. MQTT 3.1.1 has no DISCONNECT: the connection closes.
    case refuse(v3: UInt8 = 0x05, v5: UInt8, String)
    /// The connection is closed without a packet.
    case close(String)
    /// The packet has no answer.
    case ignore(String)
}

/// The rules of a platform, from its documents, for the clients of a ``ScriptedBroker``. Written apart from the
/// profiles of `Mosquitto`, so that each shows the other's mistakes.
protocol PlatformEmulation: Sendable {
    /// The protocols that the platform accepts by ALPN.
    var applicationProtocols: [String] { get }
    func verdict(on connect: ConnectPacket, applicationProtocol: String?) -> PlatformVerdict
    func properties(of connect: ConnectPacket) -> [ReceivedProperty]
    func verdict(on publish: PublishPacket, state: inout PlatformState) -> PlatformVerdict
    func verdict(on subscribe: SubscribePacket) -> PlatformVerdict
    func verdict(on disconnect: [ReceivedProperty]) -> PlatformVerdict
    func verdict(onReauthentication properties: [ReceivedProperty]) -> PlatformVerdict
    /// The SUBACK code for a filter, if the platform refuses it.
    func refusal(of filter: String, subscriptions: Int, isV5: Bool) -> UInt8?
    /// The highest QoS that a subscription is granted.
    var grantedQoS: UInt8 { get }
}

extension PlatformEmulation {
    var applicationProtocols: [String] { [] }
    var grantedQoS: UInt8 { 2 }
    func properties(of connect: ConnectPacket) -> [ReceivedProperty] { [] }
    func verdict(on publish: PublishPacket, state: inout PlatformState) -> PlatformVerdict { .pass() }
    func verdict(on subscribe: SubscribePacket) -> PlatformVerdict { .pass() }
    func verdict(on disconnect: [ReceivedProperty]) -> PlatformVerdict { .pass() }
    func verdict(onReauthentication properties: [ReceivedProperty]) -> PlatformVerdict {
        .refuse(v5: 0x82, "AUTH without an Authentication Method in the CONNECT")
    }
    func refusal(of filter: String, subscriptions: Int, isV5: Bool) -> UInt8? { nil }
}

/// The memory of a platform about a connection.
struct PlatformState {
    private var publishes: [(at: ContinuousClock.Instant, bytes: Int)] = []

    /// Records a message, and returns those of the last second.
    mutating func published(_ bytes: Int) -> (messages: Int, bytes: Int) {
        let now = ContinuousClock.now
        publishes.removeAll { now - $0.at >= .seconds(1) }
        publishes.append((now, bytes))
        return (publishes.count, publishes.reduce(0) { $0 + $1.bytes })
    }
}

/// Text of topics and tokens, for the rules.
enum PlatformText {
    /// A filter without `$share/GROUP/`.
    static func unshared(_ filter: String) -> String {
        let levels = filter.split(separator: "/", maxSplits: 2, omittingEmptySubsequences: false)
        return levels.first == "$share" && levels.count == 3 ? String(levels[2]) : filter
    }

    static func slashes(_ topic: String) -> Int { topic.utf8.count { $0 == UInt8(ascii: "/") } }
}

extension [ReceivedProperty] {
    /// The first property with this identifier.
    subscript(identifier: UInt8) -> ReceivedProperty? { first { $0.identifier == identifier } }
}

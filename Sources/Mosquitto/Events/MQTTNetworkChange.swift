// SPDX-License-Identifier: Apache-2.0

/// A change of this machine's network after which an attempt may succeed.
public enum MQTTNetworkChange: String, Sendable, Hashable, CaseIterable {
    /// The system has lost some notifications: anything may have changed.
    case unknown
    /// An interface works again, or is new.
    case link
    /// An interface has got an address that others can reach, or the address was renewed.
    case address
    /// A route to other machines was added.
    case route
}

/// A change of the network has ended the delay before the next attempt; see
/// ``MQTTConnectionOptions/retriesOnNetworkChange``.
public struct MQTTDelayEnded: Sendable, Hashable {
    public var change: MQTTNetworkChange
    /// The time until the next attempt, drawn at random, so that many clients do not begin at the same time.
    public var retryIn: Duration
}

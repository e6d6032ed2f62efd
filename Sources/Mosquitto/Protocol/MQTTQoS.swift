// SPDX-License-Identifier: Apache-2.0

/// The quality of service of a message (MQTT 5.0, section 4.3).
public enum MQTTQoS: UInt8, Sendable, Hashable, CaseIterable, Comparable {
    /// At most once: not acknowledged; the message may be lost with the connection.
    case atMostOnce = 0
    /// At least once: acknowledged by the receiver; the message may arrive more than once.
    case atLeastOnce = 1
    /// Exactly once: acknowledged in two steps.
    case exactlyOnce = 2

    public static func < (lhs: MQTTQoS, rhs: MQTTQoS) -> Bool { lhs.rawValue < rhs.rawValue }
}

// SPDX-License-Identifier: Apache-2.0

/// A version of the MQTT protocol.
public enum MQTTVersion: Sendable, Hashable, CaseIterable, CustomStringConvertible {
    /// MQTT 3.1 of 2010, for brokers that know nothing newer. As 3.1.1, except for the protocol name and level in
    /// CONNECT; a broker that refuses a subscription cannot say so.
    case v3_1
    /// MQTT 3.1.1, [OASIS standard of 2014](https://docs.oasis-open.org/mqtt/mqtt/v3.1.1/mqtt-v3.1.1.html).
    case v3_1_1
    /// MQTT 5.0, [OASIS standard of 2019](https://docs.oasis-open.org/mqtt/mqtt/v5.0/mqtt-v5.0.html).
    case v5_0

    /// "3.1", "3.1.1" or "5.0".
    public var description: String {
        switch self {
        case .v3_1: "3.1"
        case .v3_1_1: "3.1.1"
        case .v5_0: "5.0"
        }
    }
}

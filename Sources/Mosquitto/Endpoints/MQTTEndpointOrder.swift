// SPDX-License-Identifier: Apache-2.0

/// The order in which a client tries its endpoints.
public enum MQTTEndpointOrder: Sendable, Hashable {
    /// As they are given: the first one is preferred.
    case ordered
    /// In an order that is drawn when the client starts, so that many clients spread over the brokers of a cluster.
    case shuffled
}

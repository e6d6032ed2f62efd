// SPDX-License-Identifier: Apache-2.0

#if canImport(FoundationEssentials)
public import FoundationEssentials
#else
public import Foundation
#endif

/// A type that can be the payload of a message: `String` (as UTF-8), `[UInt8]`, `ArraySlice<UInt8>` and `Data`.
///
/// A payload has at most 268,435,455 bytes, less the rest of the packet (MQTT 5.0, section 2.1.4).
public protocol MQTTPayload: Sendable {
    /// The bytes sent on the wire.
    var mqttPayload: [UInt8] { get }
}

extension String: MQTTPayload {
    public var mqttPayload: [UInt8] { Array(utf8) }
}

extension [UInt8]: MQTTPayload {
    public var mqttPayload: [UInt8] { self }
}

extension ArraySlice<UInt8>: MQTTPayload {
    public var mqttPayload: [UInt8] { Array(self) }
}

extension Data: MQTTPayload {
    public var mqttPayload: [UInt8] { Array(self) }
}

// SPDX-License-Identifier: Apache-2.0

/// The replacement of credentials before they expire: by which method, and when.
public struct MQTTRotationPolicy: Sendable, Hashable {
    /// The way in which new credentials replace those of an established connection. Default
    /// ``MQTTRotation/reconnectNow``.
    public var method: MQTTRotation
    /// The fraction of a token's lifetime after which the client rotates the token, above 0 and below 1; `nil` for no
    /// rotation while connected. Default 0.8.
    public var refreshAt: Double?
    /// The fraction of a token's lifetime over which rotations are spread, 0 to 0.5. Default 0.1.
    public var jitter: Double

    public init(method: MQTTRotation = .reconnectNow, refreshAt: Double? = 0.8, jitter: Double = 0.1) {
        self.method = method
        self.refreshAt = refreshAt
        self.jitter = jitter
    }

    func validate() throws(MQTTError) {
        if let refreshAt, !(refreshAt > 0 && refreshAt < 1) {
            throw .invalid(
                .invalidConfiguration, "rotation.refreshAt is \(refreshAt); it must be above 0 and below 1")
        }
        if !(0...0.5).contains(jitter) {
            throw .invalid(.invalidConfiguration, "rotation.jitter is \(jitter); it must be from 0 to 0.5")
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

/// The requests that CONNECT makes to the broker (MQTT 5.0, section 3.1.2.11), and the topic for responses.
public struct MQTTConnectRequests: Sendable, Hashable {
    /// The time for which the broker keeps the session of a ``MQTTSession/clean`` client after its connection, for a
    /// later client with the same identifier; whole seconds up to 4,294,967,295. MQTT 5.0 only. Default zero: the
    /// session ends with the connection. This client never resumes the session.
    public var cleanSessionExpiry: Duration
    /// True to request ``MQTTConnackProperties/responseInformation`` from the broker (MQTT 5.0, section 3.1.2.11.6).
    /// Default `false`.
    public var requestsResponseInformation: Bool
    /// True to let the broker send Reason Strings and User Properties with its failures (MQTT 5.0, section 3.1.2.11.7).
    /// Default `true`.
    public var requestsProblemInformation: Bool
    /// User properties of CONNECT; MQTT 5.0 only.
    public var userProperties: [MQTTUserProperty]
    /// The topic for responses to ``MQTTClient/request(_:to:qos:properties:timeout:)``; no other client may use it.
    /// Default `nil`: "responses/" and the client identifier.
    public var responseTopic: String?

    public init(
        cleanSessionExpiry: Duration = .zero, requestsResponseInformation: Bool = false,
        requestsProblemInformation: Bool = true, userProperties: [MQTTUserProperty] = [], responseTopic: String? = nil
    ) {
        self.cleanSessionExpiry = cleanSessionExpiry
        self.requestsResponseInformation = requestsResponseInformation
        self.requestsProblemInformation = requestsProblemInformation
        self.userProperties = userProperties
        self.responseTopic = responseTopic
    }

    /// True if a request is set that MQTT 3.1.1 cannot express; an expiry is checked separately.
    var hasProperties: Bool {
        !userProperties.isEmpty || requestsResponseInformation || !requestsProblemInformation
    }

    func validate() throws(MQTTError) {
        if let responseTopic { try MQTTTopic(responseTopic).validate() }
        if cleanSessionExpiry != .zero,
            cleanSessionExpiry < .seconds(1) || cleanSessionExpiry > .seconds(UInt32.max)
        {
            throw .invalid(
                .invalidConfiguration,
                "connect.cleanSessionExpiry is \(cleanSessionExpiry); it must be zero, or from 1 s to 4294967295 s")
        }
        try Mosquitto.validate(userProperties)
    }
}

// SPDX-License-Identifier: Apache-2.0

import Mosquitto

extension ConnackFacts {
    init(_ info: MQTTConnectionInfo, _ version: MQTTVersion, _ time: Duration) {
        let properties = info.properties
        code = 0
        reason = "\(MQTTReasonCode.success)"
        reasonString = properties.reasonString
        seconds = time.inSeconds
        clientID = info.clientID
        protocolVersion = Self.name(version)
        sessionPresent = info.sessionPresent
        limits = version == .v5_0 ? Limits(properties) : nil
        serverReference = properties.serverReference
        userProperties = properties.userProperties.map { Property(name: $0.name, value: $0.value) }
    }

    /// Facts of a connection that was refused or failed.
    init(_ error: MQTTError, _ configuration: MQTTClientConfiguration) {
        code = error.rawReasonCode.map { Int($0) }
        reason = error.reasonCode.map { "\($0)" }
        reasonString = error.reasonString
        clientID = configuration.clientID ?? ""
        protocolVersion = Self.name(configuration.version)
        serverReference = error.serverReference
        userProperties = error.userProperties.map { Property(name: $0.name, value: $0.value) }
    }

    private static func name(_ version: MQTTVersion) -> String {
        switch version {
        case .v5_0: "5.0"
        case .v3_1_1: "3.1.1"
        case .v3_1: "3.1"
        }
    }
}

extension ConnackFacts.Limits {
    init(_ properties: MQTTConnackProperties) {
        receiveMaximum = Int(properties.receiveMaximum)
        maximumQoS = Int(properties.maximumQoS.rawValue)
        maximumPacketSize = properties.maximumPacketSize.map { Int($0) }
        topicAliasMaximum = Int(properties.topicAliasMaximum)
        retainAvailable = properties.retainAvailable
        wildcardSubscriptionAvailable = properties.wildcardSubscriptionAvailable
        subscriptionIdentifiersAvailable = properties.subscriptionIdentifiersAvailable
        sharedSubscriptionAvailable = properties.sharedSubscriptionAvailable
        sessionExpiryInterval = properties.sessionExpiryInterval.map { Int($0) }
        serverKeepAlive = properties.serverKeepAlive.map { Int($0) }
    }
}

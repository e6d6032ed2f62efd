import CMosquitto
import CMosquittoShim

/// A property list of libmosquitto that is being built; freed with this value's owner by ``free()``.
struct PropertyList {
    private(set) var pointer: OpaquePointer?

    mutating func add(_ identifier: mqtt5_property, byte value: UInt8?) {
        if let value { mosquitto_property_add_byte(&pointer, Int32(identifier.rawValue), value) }
    }

    mutating func add(_ identifier: mqtt5_property, int16 value: UInt16?) {
        if let value { mosquitto_property_add_int16(&pointer, Int32(identifier.rawValue), value) }
    }

    mutating func add(_ identifier: mqtt5_property, int32 value: UInt32?) {
        if let value { mosquitto_property_add_int32(&pointer, Int32(identifier.rawValue), value) }
    }

    mutating func add(_ identifier: mqtt5_property, variableByteInteger value: UInt32?) {
        if let value { mosquitto_property_add_varint(&pointer, Int32(identifier.rawValue), value) }
    }

    mutating func add(_ identifier: mqtt5_property, string value: String?) {
        if let value { mosquitto_property_add_string(&pointer, Int32(identifier.rawValue), value) }
    }

    mutating func add(_ identifier: mqtt5_property, binary value: [UInt8]?) {
        if let value { mosquitto_property_add_binary(&pointer, Int32(identifier.rawValue), value, UInt16(value.count)) }
    }

    mutating func add(_ properties: [MQTTUserProperty]) {
        for property in properties {
            mosquitto_property_add_string_pair(
                &pointer, Int32(MQTT_PROP_USER_PROPERTY.rawValue), property.name, property.value)
        }
    }

    mutating func add(_ properties: MQTTPublishProperties) {
        add(MQTT_PROP_PAYLOAD_FORMAT_INDICATOR, byte: properties.payloadIsUTF8.map { $0 ? 1 : 0 })
        add(MQTT_PROP_MESSAGE_EXPIRY_INTERVAL, int32: properties.messageExpiryInterval)
        add(MQTT_PROP_CONTENT_TYPE, string: properties.contentType)
        add(MQTT_PROP_RESPONSE_TOPIC, string: properties.responseTopic)
        add(MQTT_PROP_CORRELATION_DATA, binary: properties.correlationData)
        add(properties.userProperties)
    }

    /// Hands the list over to a function of the library that frees it.
    mutating func release() { pointer = nil }

    mutating func free() { mosquitto_property_free_all(&pointer) }
}

/// Reads a property list that libmosquitto owns, inside the callback that got it.
struct PropertyReader {
    let list: OpaquePointer

    func visit(_ body: (mqtt5_property, OpaquePointer) -> Void) {
        var item: OpaquePointer? = list
        while let property = item {
            body(mqtt5_property(UInt32(mosquitto_property_identifier(property))), property)
            item = mosquitto_property_next(property)
        }
    }

    static func byte(_ property: OpaquePointer, _ identifier: mqtt5_property) -> UInt8 {
        var value: UInt8 = 0
        mosquitto_property_read_byte(property, Int32(identifier.rawValue), &value, false)
        return value
    }

    static func int16(_ property: OpaquePointer, _ identifier: mqtt5_property) -> UInt16 {
        var value: UInt16 = 0
        mosquitto_property_read_int16(property, Int32(identifier.rawValue), &value, false)
        return value
    }

    static func int32(_ property: OpaquePointer, _ identifier: mqtt5_property) -> UInt32 {
        var value: UInt32 = 0
        mosquitto_property_read_int32(property, Int32(identifier.rawValue), &value, false)
        return value
    }

    static func string(_ property: OpaquePointer, _ identifier: mqtt5_property) -> String {
        var text: UnsafeMutablePointer<CChar>?
        mosquitto_property_read_string(property, Int32(identifier.rawValue), &text, false)
        defer { freeMemory(text) }
        return text.map { String(cString: $0) } ?? ""
    }

    static func userProperty(_ property: OpaquePointer) -> MQTTUserProperty {
        var name: UnsafeMutablePointer<CChar>?
        var value: UnsafeMutablePointer<CChar>?
        mosquitto_property_read_string_pair(property, Int32(MQTT_PROP_USER_PROPERTY.rawValue), &name, &value, false)
        defer {
            freeMemory(name)
            freeMemory(value)
        }
        return MQTTUserProperty(name.map { String(cString: $0) } ?? "", value.map { String(cString: $0) } ?? "")
    }
}

extension MQTTConnackProperties {
    /// The properties of a received CONNACK.
    init(reading list: OpaquePointer) {
        self.init()
        PropertyReader(list: list).visit { identifier, property in
            switch identifier {
            case MQTT_PROP_SESSION_EXPIRY_INTERVAL: sessionExpiryInterval = PropertyReader.int32(property, identifier)
            case MQTT_PROP_RECEIVE_MAXIMUM: receiveMaximum = PropertyReader.int16(property, identifier)
            case MQTT_PROP_MAXIMUM_QOS:
                maximumQoS = MQTTQoS(rawValue: PropertyReader.byte(property, identifier)) ?? .exactlyOnce
            case MQTT_PROP_RETAIN_AVAILABLE: retainAvailable = PropertyReader.byte(property, identifier) != 0
            case MQTT_PROP_MAXIMUM_PACKET_SIZE: maximumPacketSize = PropertyReader.int32(property, identifier)
            case MQTT_PROP_ASSIGNED_CLIENT_IDENTIFIER:
                assignedClientIdentifier = PropertyReader.string(property, identifier)
            case MQTT_PROP_TOPIC_ALIAS_MAXIMUM: topicAliasMaximum = PropertyReader.int16(property, identifier)
            case MQTT_PROP_REASON_STRING: reasonString = PropertyReader.string(property, identifier)
            case MQTT_PROP_WILDCARD_SUB_AVAILABLE:
                wildcardSubscriptionAvailable = PropertyReader.byte(property, identifier) != 0
            case MQTT_PROP_SUBSCRIPTION_ID_AVAILABLE:
                subscriptionIdentifiersAvailable = PropertyReader.byte(property, identifier) != 0
            case MQTT_PROP_SHARED_SUB_AVAILABLE:
                sharedSubscriptionAvailable = PropertyReader.byte(property, identifier) != 0
            case MQTT_PROP_SERVER_KEEP_ALIVE: serverKeepAlive = PropertyReader.int16(property, identifier)
            case MQTT_PROP_RESPONSE_INFORMATION: responseInformation = PropertyReader.string(property, identifier)
            case MQTT_PROP_SERVER_REFERENCE: serverReference = PropertyReader.string(property, identifier)
            case MQTT_PROP_USER_PROPERTY: userProperties.append(PropertyReader.userProperty(property))
            default: break
            }
        }
    }
}

import CMosquitto
import CMosquittoShim

/// A property list of libmosquitto that is being built; freed with this value's owner by ``free()``. What the library does not take
/// is an error: a packet without it would say something else.
struct PropertyList {
    private(set) var pointer: OpaquePointer?

    mutating func add(_ identifier: mqtt5_property, byte value: UInt8?) throws(MQTTError) {
        guard let value else { return }
        try check(mosquitto_property_add_byte(&pointer, Int32(identifier.rawValue), value), identifier)
    }

    mutating func add(_ identifier: mqtt5_property, int16 value: UInt16?) throws(MQTTError) {
        guard let value else { return }
        try check(mosquitto_property_add_int16(&pointer, Int32(identifier.rawValue), value), identifier)
    }

    mutating func add(_ identifier: mqtt5_property, int32 value: UInt32?) throws(MQTTError) {
        guard let value else { return }
        try check(mosquitto_property_add_int32(&pointer, Int32(identifier.rawValue), value), identifier)
    }

    mutating func add(_ identifier: mqtt5_property, string value: String?) throws(MQTTError) {
        guard let value else { return }
        try checkCString(value, identifier)
        try check(mosquitto_property_add_string(&pointer, Int32(identifier.rawValue), value), identifier)
    }

    mutating func add(_ identifier: mqtt5_property, binary value: [UInt8]?) throws(MQTTError) {
        guard let value else { return }
        guard let count = UInt16(exactly: value.count) else { return try check(MOSQ_ERR_INVAL, identifier) }
        try check(mosquitto_property_add_binary(&pointer, Int32(identifier.rawValue), value, count), identifier)
    }

    mutating func add(_ properties: [MQTTUserProperty]) throws(MQTTError) {
        let identifier = MQTT_PROP_USER_PROPERTY
        for property in properties {
            for text in [property.name, property.value] { try checkCString(text, identifier) }
            let rc = mosquitto_property_add_string_pair(
                &pointer, Int32(identifier.rawValue), property.name, property.value)
            try check(rc, identifier)
        }
    }

    mutating func add(_ properties: MQTTPublishProperties) throws(MQTTError) {
        try add(MQTT_PROP_PAYLOAD_FORMAT_INDICATOR, byte: properties.payloadIsUTF8.map { $0 ? 1 : 0 })
        try add(MQTT_PROP_MESSAGE_EXPIRY_INTERVAL, int32: properties.messageExpiryInterval)
        try add(MQTT_PROP_CONTENT_TYPE, string: properties.contentType)
        try add(MQTT_PROP_RESPONSE_TOPIC, string: properties.responseTopic)
        try add(MQTT_PROP_CORRELATION_DATA, binary: properties.correlationData)
        try add(properties.userProperties)
    }

    /// A C string ends at a NUL.
    private func checkCString(_ text: String, _ identifier: mqtt5_property) throws(MQTTError) {
        if text.utf8.contains(0) { try check(MOSQ_ERR_MALFORMED_UTF8, identifier) }
    }

    private func check(_ code: mosq_err_t, _ identifier: mqtt5_property) throws(MQTTError) {
        try check(code.rawValue, identifier)
    }

    private func check(_ rc: Int32, _ identifier: mqtt5_property) throws(MQTTError) {
        if rc == Int32(MOSQ_ERR_SUCCESS.rawValue) { return }
        let reason = String(cString: mosquitto_strerror(rc))
        var error = MQTTError(.invalidProperty, "property \(identifier.rawValue) cannot be sent: \(reason)")
        error.libraryCode = rc
        throw error
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

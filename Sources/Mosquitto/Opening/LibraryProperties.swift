// SPDX-License-Identifier: Apache-2.0

import CMosquitto

/// A property list for libmosquitto, freed with its owner. A property that the library refuses is an error: a packet
/// without it would have another meaning.
final class LibraryProperties {
    private(set) var pointer: OpaquePointer?

    deinit { mosquitto_property_free_all(&pointer) }

    func add(_ identifier: Int32, byte value: UInt8?) throws(MQTTError) {
        guard let value else { return }
        try check(mosquitto_property_add_byte(&pointer, identifier, value), identifier)
    }

    func add(_ identifier: Int32, int16 value: UInt16?) throws(MQTTError) {
        guard let value else { return }
        try check(mosquitto_property_add_int16(&pointer, identifier, value), identifier)
    }

    func add(_ identifier: Int32, int32 value: UInt32?) throws(MQTTError) {
        guard let value else { return }
        try check(mosquitto_property_add_int32(&pointer, identifier, value), identifier)
    }

    func add(_ identifier: Int32, string value: String?) throws(MQTTError) {
        guard let value else { return }
        try checkCString(value, identifier)
        try check(mosquitto_property_add_string(&pointer, identifier, value), identifier)
    }

    func add(_ identifier: Int32, binary value: [UInt8]?) throws(MQTTError) {
        guard let value else { return }
        guard let count = UInt16(exactly: value.count) else {
            return try check(Int32(MOSQ_ERR_INVAL.rawValue), identifier)
        }
        try check(mosquitto_property_add_binary(&pointer, identifier, value, count), identifier)
    }

    func add(_ properties: [MQTTUserProperty]) throws(MQTTError) {
        for property in properties {
            for text in [property.name, property.value] { try checkCString(text, 0x26) }
            try check(mosquitto_property_add_string_pair(&pointer, 0x26, property.name, property.value), 0x26)
        }
    }

    /// Adds the properties of a will.
    func add(_ properties: MQTTPublishProperties) throws(MQTTError) {
        try add(0x01, byte: properties.payloadIsUTF8.map { $0 ? 1 : 0 })
        try add(0x02, int32: properties.messageExpiryInterval)
        try add(0x03, string: properties.contentType)
        try add(0x08, string: properties.responseTopic)
        try add(0x09, binary: properties.correlationData)
        try add(properties.userProperties)
    }

    /// A C string ends at a NUL.
    private func checkCString(_ text: String, _ identifier: Int32) throws(MQTTError) {
        if text.utf8.contains(0) { try check(Int32(MOSQ_ERR_MALFORMED_UTF8.rawValue), identifier) }
    }

    private func check(_ rc: Int32, _ identifier: Int32) throws(MQTTError) {
        if rc == Int32(MOSQ_ERR_SUCCESS.rawValue) { return }
        let reason = String(cString: mosquitto_strerror(rc))
        var error = MQTTError(.invalidProperty, "property \(identifier) cannot be sent: \(reason)")
        error.libraryCode = rc
        throw error
    }

    /// Hands the list over to a function of the library that frees it.
    func release() { pointer = nil }
}

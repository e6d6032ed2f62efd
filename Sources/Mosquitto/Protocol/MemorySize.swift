// SPDX-License-Identifier: Apache-2.0

/// The memory that values take, in bytes, for buffers whose limit is memory. A little more than measured: heap blocks
/// are rounded up, and a buffer of an array may be shared.
///
/// The size on the wire says little: a user property of two empty strings has 5 bytes there, and 32 here.
enum MemorySize {
    /// The header of a heap block of Swift, and what the allocator adds.
    private static let block = 32

    static func of(_ text: String) -> Int {
        let count = text.utf8.count
        // Up to 15 bytes are stored in the string itself.
        return count > 15 ? block + count : 0
    }

    static func of(_ bytes: [UInt8]) -> Int { bytes.isEmpty ? 0 : block + bytes.count }

    static func of(_ properties: MQTTPublishProperties) -> Int {
        var size = block + MemoryLayout<MQTTPublishProperties>.size
        if let text = properties.contentType { size += of(text) }
        if let text = properties.responseTopic { size += of(text) }
        if let bytes = properties.correlationData { size += of(bytes) }
        if !properties.subscriptionIdentifiers.isEmpty { size += block + 4 * properties.subscriptionIdentifiers.count }
        if !properties.userProperties.isEmpty {
            size += block + MemoryLayout<MQTTUserProperty>.stride * properties.userProperties.count
            for property in properties.userProperties { size += of(property.name) + of(property.value) }
        }
        return size
    }

    static func of(topic: String, payload: [UInt8]) -> Int { of(topic) + of(payload) }
}

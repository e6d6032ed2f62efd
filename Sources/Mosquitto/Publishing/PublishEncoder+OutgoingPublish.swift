// SPDX-License-Identifier: Apache-2.0

extension PublishEncoder {
    mutating func append(_ publish: OutgoingPublish, _ header: Header, limit: UInt32?) -> Bool {
        append(
            topic: publish.topic, payload: publish.payload, qos: publish.qos, retain: publish.retain,
            publish.hasProperties ? publish.properties : nil, header, limit: limit)
    }
}

// SPDX-License-Identifier: Apache-2.0

package import Mosquitto

/// The messages of one publisher to one topic with one QoS, for which MQTT guarantees the order.
package struct Series: Hashable, Sendable, CustomStringConvertible {
    package var publisher: Int
    package var topic: String
    package var qos: MQTTQoS

    package init(publisher: Int, topic: String, qos: MQTTQoS) {
        self.publisher = publisher
        self.topic = topic
        self.qos = qos
    }

    package var description: String { "QoS \(qos.rawValue) of publisher \(publisher) to \(topic)" }
}

/// The identity of a message in its payload, by which a message at the wrong time or on the wrong topic is detected.
package struct Stamp: Hashable, Sendable {
    package var series: Series
    package var round: Int
    package var number: Int

    package init(series: Series, round: Int, number: Int) {
        self.series = series
        self.round = round
        self.number = number
    }

    /// A payload of the stamp and this number of additional bytes.
    package func payload(padding: Int) -> [UInt8] {
        let head = "\(series.publisher) \(series.topic) \(series.qos.rawValue) \(round) \(number) \(padding) "
        return Array(head.utf8) + [UInt8](repeating: filler, count: padding)
    }

    /// `nil` if the payload is not a stamp.
    package init?(payload: [UInt8]) {
        let fields = payload.split(separator: UInt8(ascii: " "), maxSplits: 6, omittingEmptySubsequences: false)
        guard fields.count == 7 else { return nil }
        func number(_ index: Int) -> Int? { Int(String(decoding: fields[index], as: UTF8.self)) }
        guard let publisher = number(0), let qos = number(2).flatMap({ MQTTQoS(rawValue: UInt8(clamping: $0)) }),
            let round = number(3), let position = number(4), let padding = number(5)
        else { return nil }
        let topic = String(decoding: fields[1], as: UTF8.self)
        self.init(series: Series(publisher: publisher, topic: topic, qos: qos), round: round, number: position)
        guard fields[6].count == padding, fields[6].allSatisfy({ $0 == filler }) else { return nil }
    }

    private var filler: UInt8 { UInt8(ascii: "a") + UInt8(number % 26) }
}

// SPDX-License-Identifier: Apache-2.0

package import Mosquitto
import Synchronization

/// A record of published and received messages, which checks the guarantees of MQTT.
package final class PromiseLedger: Sendable {
    /// A subscriber, with the guarantees that hold for it.
    package struct Consumer: Sendable {
        package var name: String
        package var subscriptions: [MQTTSubscription]
        /// True if the consumer is subscribed all the time, so that a missing message is a lost one.
        package var isStable: Bool
        /// True if first deliveries must be in order. A subscription that ends leaves messages unread, and those that
        /// were published twice arrive later.
        package var isOrdered: Bool

        package init(_ name: String, _ subscriptions: [MQTTSubscription], isStable: Bool, isOrdered: Bool) {
            self.name = name
            self.subscriptions = subscriptions
            self.isStable = isStable
            self.isOrdered = isOrdered
        }

        /// Returns the QoS with which the consumer receives a series; `nil` if it has not subscribed to the topic.
        func qos(of series: Series) -> MQTTQoS? {
            subscriptions.filter { $0.filter.matches(series.topic) }.map { min($0.qos, series.qos) }.max()
        }
    }

    package struct Counts: Sendable {
        package var published = 0
        package var acknowledged = 0
        package var received = 0
        package var duplicates = 0
    }

    private struct Received {
        /// Number of deliveries of each message, by its number in the series.
        var times: [UInt8] = []
        var distinct = 0
        var highest = -1
    }

    private struct State {
        var round = 0
        var counts: [MQTTQoS: Counts] = [:]
        var issued: [Series: Int] = [:]
        /// The messages received so far, by consumer and series.
        var received: [[Series: Received]]
        /// Number of messages that each consumer has not received yet.
        var outstanding: [Int]
        var violation: String?
        /// The message that violated a guarantee.
        var offender: Stamp?

        mutating func violate(_ what: String, _ stamp: Stamp? = nil) {
            guard violation == nil else { return }
            (violation, offender) = (what, stamp)
        }
    }

    private let consumers: [Consumer]
    /// Publishers with a clean session, for which QoS 2 guarantees nothing across connections.
    private let cleanPublishers: Set<Int>
    private let state: Mutex<State>

    package init(consumers: [Consumer], cleanPublishers: Set<Int>) {
        self.consumers = consumers
        self.cleanPublishers = cleanPublishers
        state = Mutex(
            State(
                received: Array(repeating: [:], count: consumers.count),
                outstanding: Array(repeating: 0, count: consumers.count)))
    }

    /// The first guarantee that was violated.
    package var violation: String? { state.withLock { $0.violation } }

    package var counts: [MQTTQoS: Counts] { state.withLock { $0.counts } }

    /// Number of messages that the slowest consumer has not received yet.
    package var backlog: Int { state.withLock { $0.outstanding.max() ?? 0 } }

    /// Number of messages that consumers have not received yet, of all consumers together.
    package var outstanding: Int { state.withLock { $0.outstanding.reduce(0, +) } }

    package func violate(_ what: String) { state.withLock { $0.violate(what) } }

    /// Begins a round, once the messages of the last one have arrived. A message of an earlier round now counts as
    /// late.
    package func beginRound(_ round: Int) {
        state.withLock { state in
            state.round = round
            state.issued.removeAll(keepingCapacity: true)
            for index in consumers.indices {
                state.received[index].removeAll(keepingCapacity: true)
                state.outstanding[index] = 0
            }
        }
    }

    /// Returns the stamp of the next message of a series. Only one task may issue the stamps of a series.
    package func issue(_ series: Series) -> Stamp {
        state.withLock { state in
            let number = state.issued[series, default: 0]
            state.issued[series] = number + 1
            state.counts[series.qos, default: Counts()].published += 1
            for (index, consumer) in consumers.enumerated() where isAwaited(series, by: consumer) {
                state.outstanding[index] += 1
            }
            return Stamp(series: series, round: state.round, number: number)
        }
    }

    package func acknowledged(_ stamp: Stamp) {
        state.withLock { $0.counts[stamp.series.qos, default: Counts()].acknowledged += 1 }
    }

    // MARK: What comes

    package func received(_ message: MQTTMessage, by index: Int) {
        let consumer = consumers[index]
        guard let stamp = Stamp(payload: message.payload), stamp.series.topic == message.topic else {
            return violate("\(consumer.name) got a payload on \(message.topic) that nobody published there")
        }
        let series = stamp.series
        guard let qos = consumer.qos(of: series) else {
            return violate("\(consumer.name) got \(series), to which it has not subscribed")
        }
        state.withLock { state in
            state.counts[series.qos, default: Counts()].received += 1
            // A QoS 2 message of a publisher whose session was lost may have been published twice.
            let mayRepeat = qos != .exactlyOnce || cleanPublishers.contains(series.publisher)
            var known = state.received[index][series] ?? Received()
            // Not two copies of it at once.
            state.received[index][series] = nil
            defer { state.received[index][series] = known }
            let isLate = stamp.round != state.round
            // A subscription that ends leaves messages to the session, unread.
            if isLate, !consumer.isStable { return }
            if isLate || known.times.count > stamp.number && known.times[stamp.number] > 0 {
                state.counts[series.qos, default: Counts()].duplicates += 1
                if !mayRepeat {
                    let what = "\(series), number \(stamp.number) of round \(stamp.round)"
                    state.violate("\(consumer.name) got \(what), twice", stamp)
                }
                if isLate { return }
            }
            if stamp.number >= known.times.count {
                known.times += Array(repeating: 0, count: stamp.number + 1 - known.times.count)
            }
            known.times[stamp.number] = min(known.times[stamp.number], 254) + 1
            guard known.times[stamp.number] == 1 else { return }
            known.distinct += 1
            if isAwaited(series, by: consumer) { state.outstanding[index] -= 1 }
            if consumer.isOrdered, stamp.number < known.highest, hasPromise(series, for: consumer) {
                state.violate(
                    "\(consumer.name) got \(series), number \(stamp.number), after number \(known.highest)", stamp)
            }
            known.highest = max(known.highest, stamp.number)
        }
    }

    /// Returns a description of the missing messages; `nil` if none is missing.
    package func missing() -> String? {
        state.withLock { state in
            for (index, consumer) in consumers.enumerated() where state.outstanding[index] > 0 {
                for (series, count) in state.issued where isAwaited(series, by: consumer) {
                    let times = state.received[index][series]?.times ?? []
                    if let lost = (0..<count).first(where: { $0 >= times.count || times[$0] == 0 }) {
                        return "\(consumer.name) has not got \(series), number \(lost) of \(count); "
                            + "\(state.outstanding[index]) are missing"
                    }
                }
            }
            return nil
        }
    }

    /// A text that lists how often each consumer has received the message that violated a guarantee. The numbers show
    /// whether the publisher or a consumer is at fault.
    package var evidence: String? {
        state.withLock { state in
            guard let stamp = state.offender else { return nil }
            let times = zip(consumers, state.received).compactMap { consumer, received -> String? in
                guard consumer.qos(of: stamp.series) != nil else { return nil }
                let times = received[stamp.series]?.times ?? []
                return "\(stamp.number < times.count ? Int(times[stamp.number]) : 0) by \(consumer.name)"
            }
            return "it was received " + times.joined(separator: ", ")
        }
    }

    /// Returns true if a consumer must receive every message of the series. mosquitto routes a QoS 2 message on PUBREL:
    /// if it discards the session of a publisher, it may lose a message for which it has sent PUBREC.
    private func isAwaited(_ series: Series, by consumer: Consumer) -> Bool {
        consumer.isStable && hasPromise(series, for: consumer)
    }

    private func hasPromise(_ series: Series, for consumer: Consumer) -> Bool {
        guard let qos = consumer.qos(of: series), qos != .atMostOnce else { return false }
        return !(series.qos == .exactlyOnce && cleanPublishers.contains(series.publisher))
    }
}

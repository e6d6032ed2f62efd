// SPDX-License-Identifier: Apache-2.0

extension ScriptedBroker {
    /// A packet to which the broker reacts by ending the connection instead of answering.
    public struct Objection: Sendable, Hashable {
        /// The content that the broker objects to.
        public enum Subject: Sendable, Hashable {
            /// A PUBLISH to this topic.
            case publish(to: String)
            /// A SUBSCRIBE with this filter.
            case subscribe(to: String)
            /// An UNSUBSCRIBE with this filter.
            case unsubscribe(from: String)
            /// A SUBSCRIBE or UNSUBSCRIBE with more than this number of filters.
            case filters(moreThan: Int)
        }

        /// The manner in which the connection ends.
        public enum Ending: Sendable, Hashable {
            /// Close, after the answers to earlier packets.
            case close
            /// Close at once: the answers to packets of the same read are lost.
            case closeWithoutAnswers
            /// Send DISCONNECT, if the protocol has one, and close.
            case disconnect(reasonCode: UInt8)
        }

        public var subject: Subject
        public var ending: Ending

        public init(_ subject: Subject, _ ending: Ending = .close) {
            self.subject = subject
            self.ending = ending
        }
    }

    /// The broker's objections on every connection, from now on. None by default.
    public var objections: [Objection] {
        get { settings.objections }
        set { settings.objections = newValue }
    }
}

extension ScriptedBroker.Objection {
    /// True if this packet has the subject.
    func concerns(_ packet: ClientPacket, on connection: BrokerConnection) -> Bool {
        switch (subject, packet) {
        case (.publish(let topic), .publish(let publish)):
            let alias = publish.properties.integer(PropertyID.topicAlias)
            let known = publish.topic.isEmpty ? alias.flatMap { connection.topicAliases[$0] } : publish.topic
            return known == topic
        case (.subscribe(let filter), .subscribe(let subscribe)):
            return subscribe.requests.contains { $0.filter == filter }
        case (.unsubscribe(let filter), .unsubscribe(_, let filters)): return filters.contains(filter)
        case (.filters(let maximum), .subscribe(let subscribe)): return subscribe.requests.count > maximum
        case (.filters(let maximum), .unsubscribe(_, let filters)): return filters.count > maximum
        default: return false
        }
    }
}

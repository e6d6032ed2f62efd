/// Finds the operation over which a broker ends connections, by counting. A value without a clock: events in, decisions
/// out.
///
/// A broker that closes says nothing of the reason with MQTT 3.1.1, and often nothing with 5.0. It may also have read
/// more than it answered, so the oldest unanswered operation is not always the cause. After an end with unanswered
/// operations, the next connection therefore makes these suspects in their order, first one at a time, then two, four,
/// and so on; after a second end only one at a time. An end counts against a suspect that was alone, or for the first
/// time. Three ends with a reason convict, or six without one, if no end of another kind came in between.
struct Suspicion {
    /// An operation that a later connection makes again.
    enum Operation: Hashable {
        case publish(Identity)
        case subscription(String)
        case unsubscription(String)

        var isPublish: Bool { if case .publish = self { true } else { false } }

        static func publish(_ publish: OutgoingPublish) -> Operation { .publish(Identity(publish)) }
    }

    /// Tells a publish from all others, whatever packet identifier it has on a connection.
    struct Identity: Hashable {
        let publish: OutgoingPublish

        init(_ publish: OutgoingPublish) { self.publish = publish }

        static func == (left: Identity, right: Identity) -> Bool { left.publish === right.publish }

        func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(publish)) }
    }

    /// The part of an operation that the broker can have objected to.
    enum Extent {
        /// All its bytes were sent.
        case whole
        /// Some were, and the end came at once: it may be over the size, which the first bytes tell.
        case begun
        /// Some were, and the end came later: a broken connection is the better explanation.
        case delayed

        fileprivate var weight: Int {
            switch self {
            case .whole: 4
            case .begun: 1
            case .delayed: 0
            }
        }
    }

    /// Three ends with a reason convict an operation that was sent, six without one, and twelve an operation that never
    /// was sent whole.
    private static let limit = 12
    /// An operation that was under way for this long is not what ended the connection; so long the others wait for a
    /// suspect.
    static let patience = Duration.seconds(5)

    /// The suspects, and the weight of the ends that count against each.
    private var counts: [Operation: Int] = [:]
    /// Suspects of ``counts`` that are filters.
    private var filters = 0
    /// True after a connection has ended although suspects were isolated.
    private var isStrict = false
    /// True when the suspects of this connection have had their time.
    private var isReleased = false
    private var answers = 0
    /// The number of suspects that may be unanswered at the same time.
    private(set) var allowed = 1

    var isEmpty: Bool { counts.isEmpty }

    /// True while suspects are kept apart from all other operations.
    var isIsolating: Bool { !counts.isEmpty && !isReleased }

    /// True if a filter is among the suspects.
    var hasFilters: Bool { filters > 0 }

    func contains(_ operation: Operation) -> Bool { counts[operation] != nil }

    // MARK: Events

    /// A connection is established.
    mutating func connected() {
        isReleased = false
        allowed = 1
        answers = 0
    }

    /// The broker has ended a connection, perhaps over one of these operations: filters, and publishes in their order.
    ///
    /// - Parameters:
    ///   - sent: the extent to which they were sent, the last of them at least.
    ///   - isWordless: true if the broker gave no reason. A network that cuts connections looks the same, so such an
    ///     end has half the weight.
    /// - Returns: the operations that are convicted, and forgotten here.
    mutating func ended(_ unanswered: [Operation], sent: Extent = .whole, isWordless: Bool = false) -> [Operation] {
        let isAlone = unanswered.count == 1
        if unanswered.isEmpty { acquit() }
        if unanswered.isEmpty || isAlone && sent == .delayed { return [] }
        let weight = isWordless && sent == .whole ? sent.weight / 2 : sent.weight
        isStrict = !counts.isEmpty
        for operation in unanswered where counts[operation] == nil { insert(operation) }
        guard isAlone || sent == .whole else { return [] }
        let oldest = unanswered.first(where: \.isPublish)
        var convicted: [Operation] = []
        for operation in unanswered where !operation.isPublish || operation == oldest {
            let count = counts[operation] ?? 0
            guard isAlone || count == 0 else { continue }
            counts[operation] = count + weight
            if count + weight >= Self.limit { convicted.append(operation) }
        }
        for operation in convicted { forget(operation) }
        return convicted
    }

    /// A connection has ended, or an attempt failed, without a word and without a suspect under way: the network cuts
    /// connections, and the ends so far say nothing. Counts start anew.
    mutating func acquit() {
        for operation in counts.keys { counts[operation] = 0 }
    }

    /// The broker has answered an operation, whatever it said.
    mutating func answered(_ operation: Operation) {
        guard contains(operation) else { return }
        forget(operation)
        answers += 1
        guard !isStrict, answers >= allowed else { return }
        answers = 0
        allowed = min(allowed * 2, 1 << 16)
    }

    /// The broker neither answers a suspect nor ends the connection over it: the others go on until the next
    /// connection.
    mutating func release() { isReleased = true }

    // MARK: What is not made any more

    mutating func forgetFilters() { forget { !$0.isPublish } }

    mutating func forgetPublishes() { forget(where: \.isPublish) }

    private mutating func forget(where isGone: (Operation) -> Bool) {
        for operation in counts.keys.filter(isGone) { forget(operation) }
    }

    private mutating func insert(_ operation: Operation) {
        counts[operation] = 0
        if !operation.isPublish { filters += 1 }
    }

    private mutating func forget(_ operation: Operation) {
        guard counts.removeValue(forKey: operation) != nil else { return }
        if !operation.isPublish { filters -= 1 }
        if counts.isEmpty { isStrict = false }
    }
}

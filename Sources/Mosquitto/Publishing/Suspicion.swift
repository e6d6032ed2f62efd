// SPDX-License-Identifier: Apache-2.0

/// Finds the operation that makes a broker close connections, by counting. A value without a clock: events in,
/// decisions out.
///
/// A broker that closes a connection gives no reason with MQTT 3.1.1, and often none with 5.0. It may also have read
/// more than it answered, so that the oldest unanswered operation is not always the cause. After a close with
/// unanswered operations, the next connection therefore repeats these suspects in order: first one at a time, then two,
/// four, and so on; after a second close only one at a time. A close counts against a suspect that was alone, or that
/// is suspected for the first time. Three closes with a reason convict a suspect, or six without one, if no close of
/// another kind occurred in between.
struct Suspicion {
    /// An operation that a later connection repeats.
    enum Operation: Hashable {
        case publish(Identity)
        case subscription(String)
        case unsubscription(String)

        var isPublish: Bool { if case .publish = self { true } else { false } }

        static func publish(_ publish: OutgoingPublish) -> Operation { .publish(Identity(publish)) }
    }

    /// The identity of a publish, independent of its packet identifier on a connection.
    struct Identity: Hashable {
        let publish: OutgoingPublish

        init(_ publish: OutgoingPublish) { self.publish = publish }

        static func == (left: Identity, right: Identity) -> Bool { left.publish === right.publish }

        func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(publish)) }
    }

    /// The part of an operation to which the broker can have objected.
    enum Extent {
        /// All its bytes were sent.
        case whole
        /// Some bytes were sent, and the close followed at once: the cause may be the size, which the first bytes
        /// announce.
        case begun
        /// Some bytes were sent, and the close followed later: a broken connection is the better explanation.
        case delayed

        fileprivate var weight: Int {
            switch self {
            case .whole: 4
            case .begun: 1
            case .delayed: 0
            }
        }
    }

    /// Three closes with a reason convict an operation that was sent, six without one, and twelve an operation that was
    /// never sent completely.
    private static let limit = 12
    /// The age from which an unanswered operation is no longer suspected, and the time for which other operations wait
    /// for a suspect.
    static let patience = Duration.seconds(5)

    /// The suspects, with the weight of the closes that count against each.
    private var counts: [Operation: Int] = [:]
    /// Number of suspects in ``counts`` that are filters.
    private var filters = 0
    /// True after a connection was closed although suspects were isolated.
    private var isStrict = false
    /// True after the suspects of this connection have had their time.
    private var isReleased = false
    private var answers = 0
    /// Number of suspects that may be unanswered at the same time.
    private(set) var allowed = 1

    var isEmpty: Bool { counts.isEmpty }

    /// True while suspects are isolated from all other operations.
    var isIsolating: Bool { !counts.isEmpty && !isReleased }

    /// Returns true for a suspect that must wait for its turn before it is repeated.
    func holdsBack(_ operation: Operation) -> Bool { isIsolating && contains(operation) }

    /// True if a filter is among the suspects.
    var hasFilters: Bool { filters > 0 }

    func contains(_ operation: Operation) -> Bool { counts[operation] != nil }

    // MARK: Events

    /// Begins a connection.
    mutating func connected() {
        isReleased = false
        allowed = 1
        answers = 0
    }

    /// Records that the broker has closed a connection, perhaps because of one of these operations: filters, and
    /// publishes in order.
    ///
    /// - Parameters:
    ///   - sent: the extent to which the operations, or at least the last of them, were sent.
    ///   - isWordless: true if the broker gave no reason. A failing network looks the same, so such a close has half
    ///     the weight.
    /// - Returns: the convicted operations, which are no longer suspects.
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

    /// Resets all counts after a close without a reason, or a failed attempt, with no suspect unanswered: the network
    /// cuts connections, and the closes so far prove nothing.
    mutating func acquit() {
        for operation in counts.keys { counts[operation] = 0 }
    }

    /// Records that the broker has answered an operation, whatever the answer.
    mutating func answered(_ operation: Operation) {
        guard contains(operation) else { return }
        forget(operation)
        answers += 1
        guard !isStrict, answers >= allowed else { return }
        answers = 0
        allowed = min(allowed * 2, 1 << 16)
    }

    /// Ends the isolation until the next connection: the broker neither answers a suspect nor closes the connection
    /// because of it.
    mutating func release() { isReleased = true }

    // MARK: Removed operations

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

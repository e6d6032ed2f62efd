// SPDX-License-Identifier: Apache-2.0

/// A list of outgoing messages, linked through the messages themselves: insertion and removal at any position take
/// constant time and no memory.
///
/// `Unmanaged`: the list owns one reference to each of its messages from insertion to removal, on the thread that owns
/// the list. A chain of strong references would be released recursively, as deep as the list is long. A message is in
/// at most one list.
struct PublishList: ~Copyable {
    private(set) var count = 0
    /// The total size of the messages.
    private(set) var bytes = 0
    /// Number of messages with a Message Expiry Interval.
    private(set) var expiring = 0

    private var head: Unmanaged<OutgoingPublish>?
    private var tail: Unmanaged<OutgoingPublish>?

    deinit {
        var next = head
        while let link = next {
            let publish = link.takeRetainedValue()
            next = publish.next
            (publish.previous, publish.next, publish.isListed) = (nil, nil, false)
        }
    }

    var first: OutgoingPublish? { head?.takeUnretainedValue() }

    mutating func append(_ publish: OutgoingPublish) { insert(publish, before: nil) }

    /// Inserts a message before the first one with a later call.
    mutating func putBack(_ publish: OutgoingPublish) {
        var next = head
        while let other = next?.takeUnretainedValue(), other.sequence < publish.sequence { next = other.next }
        insert(publish, before: next)
    }

    private mutating func insert(_ publish: OutgoingPublish, before next: Unmanaged<OutgoingPublish>?) {
        let link = Unmanaged.passRetained(publish)
        let previous = next.map { $0._withUnsafeGuaranteedRef { $0.previous } } ?? tail
        (publish.previous, publish.next) = (previous, next)
        if let previous { previous._withUnsafeGuaranteedRef { $0.next = link } } else { head = link }
        if let next { next._withUnsafeGuaranteedRef { $0.previous = link } } else { tail = link }
        added(publish)
    }

    private mutating func added(_ publish: OutgoingPublish) {
        publish.isListed = true
        count += 1
        bytes += publish.memorySize
        if publish.isExpiring { expiring += 1 }
    }

    /// Removes and returns the first message. Transfers the list's own reference, which saves a retain and a release
    /// per message.
    mutating func popFirst() -> OutgoingPublish? {
        guard let link = head else { return nil }
        let publish = link.takeRetainedValue()
        head = publish.next
        if let head { head._withUnsafeGuaranteedRef { $0.previous = nil } } else { tail = nil }
        removed(publish)
        return publish
    }

    /// Removes a message that is in this list.
    mutating func remove(_ publish: OutgoingPublish) {
        let (previous, next) = (publish.previous, publish.next)
        if let previous { previous.takeUnretainedValue().next = next } else { head = next }
        if let next { next.takeUnretainedValue().previous = previous } else { tail = previous }
        removed(publish)
        Unmanaged.passUnretained(publish).release()
    }

    private mutating func removed(_ publish: OutgoingPublish) {
        (publish.previous, publish.next, publish.isListed) = (nil, nil, false)
        count -= 1
        bytes -= publish.memorySize
        if publish.isExpiring { expiring -= 1 }
    }

    /// Removes and returns the messages for which `isUnwanted` is true, in order.
    mutating func remove(where isUnwanted: (OutgoingPublish) -> Bool) -> [OutgoingPublish] {
        var removed: [OutgoingPublish] = []
        var next = head
        while let link = next {
            let publish = link.takeUnretainedValue()
            next = publish.next
            guard isUnwanted(publish) else { continue }
            remove(publish)
            removed.append(publish)
        }
        return removed
    }
}

// SPDX-License-Identifier: Apache-2.0

/// A token bucket: it fills at a rate, up to a capacity, and may be in debt. A value without a clock.
struct TokenBucket {
    /// Tokens a second.
    let rate: Double
    let capacity: Double
    private var tokens: Double
    private var last: ContinuousClock.Instant?

    /// Returns a full bucket, from which no second takes more than `limit` tokens, or than `least` if that is more.
    init(limit: Double, least: Double = 0) {
        capacity = max(limit / 10, least)
        rate = limit * 0.9
        tokens = capacity
    }

    /// Adds the tokens of the time since the last call.
    mutating func refill(now: ContinuousClock.Instant) {
        if let last, now > last { tokens = min(capacity, tokens + rate * ((now - last) / .seconds(1))) }
        last = max(last ?? now, now)
    }

    /// Number of whole tokens; 0 in debt.
    var available: Int { tokens < 1 ? 0 : Int(min(tokens, 1e9)) }

    mutating func spend(_ count: Int) { tokens -= Double(count) }

    /// The time until there is a token, from the last ``refill(now:)`` on.
    var delay: Duration { tokens >= 1 ? .zero : .seconds((1 - tokens) / rate) }
}

/// The pace of outgoing messages: limits of messages and of bytes. Confined to the loop's thread; without a rate no
/// client has one.
final class PublishPace {
    private var messages: TokenBucket?
    private var bytes: TokenBucket?

    init(_ limit: MQTTPublishRate) {
        messages = limit.messagesPerSecond.map { TokenBucket(limit: $0, least: 1) }
        bytes = limit.bytesPerSecond.map { TokenBucket(limit: Double($0)) }
    }

    func refill(now: ContinuousClock.Instant) {
        messages?.refill(now: now)
        bytes?.refill(now: now)
    }

    /// Number of messages that may be sent now.
    var allowedMessages: Int { messages?.available ?? .max }

    /// Number of bytes that may be sent now, which one message may exceed.
    var allowedBytes: Int { bytes?.available ?? .max }

    var permits: Bool { allowedMessages > 0 && allowedBytes > 0 }

    /// Records that a message is sent.
    func spend(on publish: OutgoingPublish) {
        messages?.spend(1)
        bytes?.spend(publish.topic.utf8.count + publish.payload.count)
    }

    /// The time until a message may be sent.
    var delay: Duration { max(messages?.delay ?? .zero, bytes?.delay ?? .zero) }
}

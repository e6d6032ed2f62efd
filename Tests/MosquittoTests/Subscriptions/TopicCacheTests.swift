// SPDX-License-Identifier: Apache-2.0

import Testing
import Turns

@testable import Mosquitto

/// Publishers choose topics: what is kept for each is bounded.
@Suite(.turn(.units)) struct `A cache by topic` {
    @Test func `keeps what it is given`() {
        var cache = TopicCache<Int>()
        cache.keep(1, for: "a/b")
        #expect(cache["a/b"] == 1 && cache["a"] == nil)
        cache.removeAll()
        #expect(cache["a/b"] == nil && cache.bytes == 0)
    }

    @Test func `is bounded in number and bytes, and has no long topics`() {
        var cache = TopicCache<Int>()
        for number in 0..<25_000 { cache.keep(number, for: "t/\(number)") }
        #expect(cache.count <= 10_000)
        for number in 0..<5_000 { cache.keep(number, for: String(repeating: "t", count: 1_000) + "/\(number)") }
        #expect(cache.bytes <= 1 << 20)
        let (count, long) = (cache.count, String(repeating: "t", count: 65_535))
        cache.keep(1, for: long)
        #expect(cache[long] == nil && cache.count == count)
    }

    /// 608 MiB before, for a subscriber that had read everything.
    @Test func `does not grow with the topics of messages`() {
        var table = SubscriptionTable()
        let consumer = MessageBuffer(["#"], policy: .default) {}
        table.add(consumer)
        for number in 0..<500 {
            let topic = String(repeating: "t", count: 60_000) + "\(number)"
            #expect(table.consumers(of: topic, []).count == 1)
        }
        #expect(table.cachedBytes <= 1 << 20)
    }
}

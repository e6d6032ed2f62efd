// SPDX-License-Identifier: Apache-2.0

import Testing
import Turns

@testable import Mosquitto

@Suite(.turn(.units)) struct `Messages that nothing subscribes to yet` {
    private func message(_ topic: String, bytes: Int = 0, isHeld: Bool = false) -> IncomingMessage {
        IncomingMessage(
            message: MQTTMessage(topic: topic, payload: [UInt8](repeating: 0, count: bytes), qos: .atLeastOnce),
            receipt: isHeld ? Receipt(packetID: 1) { _ in } : nil)
    }

    private func consumer(_ filter: MQTTTopicFilter) -> MessageBuffer {
        MessageBuffer([MQTTSubscription(filter)], policy: .default) {}
    }

    private func topics(_ messages: [IncomingMessage]) -> [String] { messages.map(\.message.topic) }

    @Test func `are the newest, by number, and up to an eighth more (delivery 5)`() {
        var unclaimed = UnclaimedMessages()
        #expect(unclaimed.hold((0..<4_608).map { message("\($0)") }).lost == 0)
        #expect(unclaimed.hold([message("a")]).lost == 513)
        #expect(unclaimed.count == 4_096)
        #expect(unclaimed.hold([message("b")]).lost == 0)
    }

    @Test func `and by bytes, but for one`() {
        var unclaimed = UnclaimedMessages()
        // A message itself counts, too.
        let own = message("1", bytes: 1).memorySize - 1
        let half = 32 << 20
        let eighth = 8 << 20
        #expect(unclaimed.hold([message("1", bytes: half - own), message("2", bytes: half - own)]).lost == 0)
        #expect(unclaimed.hold([message("3", bytes: eighth - own)]).lost == 0)
        #expect(unclaimed.hold([message("4")]).lost == 1)
        #expect(unclaimed.hold([message("5", bytes: 3 * half)]).lost == 3)
        #expect(unclaimed.hold([message("6")]).lost == 1)
    }

    @Test func `are told of when the first is lost, and when twice as many are (delivery 5)`() {
        var unclaimed = UnclaimedMessages()
        #expect(unclaimed.takeLossToTell() == nil)
        var told: [Int] = []
        for _ in 0..<20 {
            _ = unclaimed.hold((0..<513).map { message("\($0)") })
            if let count = unclaimed.takeLossToTell() { told.append(count) }
        }
        #expect(told.count == 3)
        for (one, next) in zip(told, told.dropFirst()) { #expect(next >= 2 * one) }
        #expect(unclaimed.takeLossToTell() == nil)
    }

    @Test func `that are not acknowledged are the oldest, and the others stay with the broker (D1)`() {
        var unclaimed = UnclaimedMessages()
        #expect(unclaimed.hold((0..<4_096).map { message("\($0)", isHeld: true) }).unacknowledged.isEmpty)
        let excess = unclaimed.hold([message("a", isHeld: true), message("b", isHeld: true)])
        #expect(topics(excess.unacknowledged) == ["a", "b"])
        #expect(excess.lost == 0)
        #expect(unclaimed.claim(for: consumer("0")).count == 1)
        #expect(unclaimed.hold([message("c", isHeld: true)]).unacknowledged.isEmpty)
    }

    @Test func `that a consumer has left over are kept beside all others (D1)`() {
        var unclaimed = UnclaimedMessages()
        #expect(unclaimed.putBack((0..<10_000).map { message("left/\($0)") }) == 0)
        #expect(unclaimed.hold((0..<5_000).map { message("new/\($0)") }).lost == 904)
        #expect(unclaimed.claim(for: consumer("left/#")).count == 10_000)
    }

    @Test func `of a filter that has lost its consumer are for the next one of that filter (D1)`() {
        var unclaimed = UnclaimedMessages()
        _ = unclaimed.hold([message("a/b", isHeld: true), message("c", isHeld: true)])
        #expect(topics(unclaimed.claim(for: consumer("#"), kept: ["a/+"])) == ["c"])
        #expect(topics(unclaimed.claim(for: consumer("a/+"), kept: ["a/+"])) == ["a/b"])
        #expect(unclaimed.count == 0)
    }

    @Test func `lose their acknowledgement with the session, and stay (D1)`() {
        var unclaimed = UnclaimedMessages()
        _ = unclaimed.hold([message("a", isHeld: true)])
        unclaimed.forgetReceipts()
        #expect(!unclaimed.holdsReceipts)
        #expect(unclaimed.claim(for: consumer("a")).map { $0.receipt == nil } == [true])
    }
}

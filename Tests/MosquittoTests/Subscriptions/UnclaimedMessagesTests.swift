import Testing

@testable import Mosquitto

@Suite struct `Messages that nothing subscribes to yet` {
    private func message(_ topic: String, bytes: Int = 0) -> IncomingMessage {
        IncomingMessage(
            message: MQTTMessage(topic: topic, payload: [UInt8](repeating: 0, count: bytes), qos: .atLeastOnce))
    }

    @Test func `are the newest, by number`() {
        var unclaimed = UnclaimedMessages()
        #expect(unclaimed.hold((0..<4_096).map { message("\($0)") }) == 0)
        #expect(unclaimed.hold([message("a"), message("b")]) == 2)
    }

    @Test func `and by bytes, but for one`() {
        var unclaimed = UnclaimedMessages()
        let half = 32 << 20
        #expect(unclaimed.hold([message("1", bytes: half - 1), message("2", bytes: half - 1)]) == 0)
        #expect(unclaimed.hold([message("3")]) == 1)
        #expect(unclaimed.hold([message("4", bytes: 3 * half)]) == 2)
        #expect(unclaimed.hold([message("5")]) == 1)
    }
}

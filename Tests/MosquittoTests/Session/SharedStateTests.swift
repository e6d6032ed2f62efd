// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing
import Turns

@testable import Mosquitto

@Suite(.turn(.units)) struct `Connection events` {
    private func event(_ kind: MQTTConnectionEvent.Kind) -> MQTTConnectionEvent {
        MQTTConnectionEvent(time: Date(), kind: kind)
    }

    private func names(_ stream: AsyncStream<MQTTConnectionEvent>) async -> [String] {
        var names: [String] = []
        for await event in stream {
            switch event.kind {
            case .resubscribed(let filters): names.append(filters.joined())
            case .stopped: names.append("stopped")
            default: names.append("?")
            }
        }
        return names
    }

    @Test func `reach each listener from its call on, and end with stopped`() async {
        let shared = SharedState()
        let first = shared.makeEventStream().events
        shared.emit(event(.resubscribed(filters: ["1"])))
        let second = shared.makeEventStream().events
        shared.emit(event(.resubscribed(filters: ["2"])))
        shared.setState(.stopped(nil))
        shared.emit(event(.stopped(nil)))
        #expect(await names(first) == ["1", "2", "stopped"])
        #expect(await names(second) == ["2", "stopped"])
    }

    @Test func `are over at once for a client that has stopped`() async {
        let shared = SharedState()
        shared.setState(.stopped(nil))
        #expect(await names(shared.makeEventStream().events) == [])
    }

    @Test func `the newest 1,024 are kept for a listener that does not read`() async {
        let shared = SharedState()
        let stream = shared.makeEventStream().events
        for number in 0..<2_000 { shared.emit(event(.resubscribed(filters: ["\(number)"]))) }
        shared.emit(event(.stopped(nil)))
        let names = await names(stream)
        #expect(names.count == 1_024)
        #expect(names.suffix(2) == ["1999", "stopped"])
    }

    @Test func `a listener that is gone does not matter`() async {
        let shared = SharedState()
        do { _ = shared.makeEventStream().events }
        let stream = shared.makeEventStream().events
        shared.emit(event(.stopped(nil)))
        #expect(await names(stream) == ["stopped"])
    }

    @Test func `the state is the one set last`() {
        let shared = SharedState()
        #expect({ if case .idle = shared.state { true } else { false } }())
        shared.setState(.connected(.sample))
        #expect(shared.state.isConnected)
    }
}

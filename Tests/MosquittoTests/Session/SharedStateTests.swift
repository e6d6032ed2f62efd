import Foundation
import Testing

@testable import Mosquitto

@Suite struct `The outbox` {
    private func publish(_ topic: String = "t", isEnqueued: Bool = true) -> OutgoingPublish {
        let publish = OutgoingPublish(topic: topic, payload: [], qos: .atLeastOnce, retain: false, properties: .init())
        publish.isEnqueued = isEnqueued
        return publish
    }

    @Test func `has the loop told once until it is emptied`() throws {
        let shared = SharedState(queueLimit: 10)
        #expect(try shared.post(publish()) == true)
        #expect(try shared.post(publish()) == false)
        #expect(shared.takeOutbox().count == 2)
        #expect(try shared.post(publish()) == true)
    }

    @Test func `keeps the order`() throws {
        let shared = SharedState(queueLimit: 10)
        for name in ["1", "2", "3"] { _ = try shared.post(publish(name)) }
        #expect(shared.takeOutbox().map(\.topic) == ["1", "2", "3"])
        #expect(shared.takeOutbox().isEmpty)
    }

    @Test func `is full at its limit, and names it`() throws {
        let shared = SharedState(queueLimit: 2)
        for _ in 0..<2 { _ = try shared.post(publish()) }
        let error = #expect(throws: MQTTError.self) { try shared.post(publish()) }
        #expect(error?.code == .queueFull)
        #expect(error?.message.contains("2 messages") == true)
    }

    @Test func `counts a message until the library has it`() throws {
        let shared = SharedState(queueLimit: 2)
        for _ in 0..<2 { _ = try shared.post(publish()) }
        _ = shared.takeOutbox()
        #expect(throws: MQTTError.self) { try shared.post(publish()) }
        shared.dequeued(1)
        #expect(try shared.post(publish()) == true)
        #expect(throws: MQTTError.self) { try shared.post(publish()) }
    }

    @Test func `does not limit callers that wait`() throws {
        let shared = SharedState(queueLimit: 1)
        _ = try shared.post(publish())
        for _ in 0..<10 { _ = try shared.post(publish(isEnqueued: false)) }
        #expect(shared.takeOutbox().count == 11)
    }

    @Test func `gives back what waits when it is closed, and takes nothing more`() throws {
        let shared = SharedState(queueLimit: 2)
        _ = try shared.post(publish("left"))
        #expect(shared.closeOutbox(MQTTError(.stopped, "over")).map(\.topic) == ["left"])
        let error = #expect(throws: MQTTError.self) { try shared.post(publish()) }
        #expect(error?.code == .stopped)
        #expect(shared.takeOutbox().isEmpty)
    }

    @Test func `loses and doubles nothing that many threads post`() async throws {
        let shared = SharedState(queueLimit: 100_000)
        let posting = Task {
            await withTaskGroup(of: Void.self) { group in
                for worker in 0..<4 {
                    group.addTask {
                        for number in 0..<1_000 {
                            let publish = OutgoingPublish(
                                topic: "\(worker)/\(number)", payload: [], qos: .atMostOnce, retain: false,
                                properties: .init())
                            _ = try? shared.post(publish)
                        }
                    }
                }
            }
        }
        var topics: [String] = []
        while topics.count < 4_000 {
            topics += shared.takeOutbox().map(\.topic)
            await Task.yield()
        }
        await posting.value
        #expect(Set(topics).count == 4_000)
        #expect(shared.takeOutbox().isEmpty)
        for worker in 0..<4 {
            let own = topics.filter { $0.hasPrefix("\(worker)/") }
            #expect(own == (0..<1_000).map { "\(worker)/\($0)" })
        }
    }
}

@Suite struct `Connection events` {
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
        let shared = SharedState(queueLimit: 1)
        let first = shared.makeEventStream()
        shared.emit(event(.resubscribed(filters: ["1"])))
        let second = shared.makeEventStream()
        shared.emit(event(.resubscribed(filters: ["2"])))
        shared.setState(.stopped(nil))
        shared.emit(event(.stopped(nil)))
        #expect(await names(first) == ["1", "2", "stopped"])
        #expect(await names(second) == ["2", "stopped"])
    }

    @Test func `are over at once for a client that has stopped`() async {
        let shared = SharedState(queueLimit: 1)
        shared.setState(.stopped(nil))
        #expect(await names(shared.makeEventStream()) == [])
    }

    @Test func `the newest 1,024 are kept for a listener that does not read`() async {
        let shared = SharedState(queueLimit: 1)
        let stream = shared.makeEventStream()
        for number in 0..<2_000 { shared.emit(event(.resubscribed(filters: ["\(number)"]))) }
        shared.emit(event(.stopped(nil)))
        let names = await names(stream)
        #expect(names.count == 1_024)
        #expect(names.suffix(2) == ["1999", "stopped"])
    }

    @Test func `a listener that is gone does not matter`() async {
        let shared = SharedState(queueLimit: 1)
        do { _ = shared.makeEventStream() }
        let stream = shared.makeEventStream()
        shared.emit(event(.stopped(nil)))
        #expect(await names(stream) == ["stopped"])
    }

    @Test func `the state is the one set last`() {
        let shared = SharedState(queueLimit: 1)
        #expect({ if case .idle = shared.state { true } else { false } }())
        shared.setState(.connected(.sample))
        #expect(shared.state.isConnected)
    }
}

@Suite struct `The queue of publishes` {
    private func publish(_ topic: String) -> OutgoingPublish {
        OutgoingPublish(topic: topic, payload: [], qos: .atLeastOnce, retain: false, properties: .init())
    }

    @Test func `is first in, first out`() {
        var queue = PublishQueue()
        queue.append([publish("1"), publish("2")])
        queue.append([publish("3")])
        #expect(queue.count == 3)
        #expect(queue.first?.topic == "1")
        #expect(queue.popFirst()?.topic == "1")
        #expect(queue.takeAll().map(\.topic) == ["2", "3"])
        #expect(queue.isEmpty)
        #expect(queue.popFirst() == nil)
    }

    @Test func `what comes back goes to the front, in its order`() {
        var queue = PublishQueue()
        queue.append([publish("3")])
        queue.prepend([publish("1"), publish("2")])
        #expect(queue.takeAll().map(\.topic) == ["1", "2", "3"])
    }

    @Test func `a message is removed by identity`() {
        var queue = PublishQueue()
        let (first, second) = (publish("t"), publish("t"))
        queue.append([first, second])
        queue.remove(second)
        queue.remove(second)
        #expect(queue.count == 1)
        #expect(queue.first === first)
    }

    @Test func `an outcome is told once`() async throws {
        let message = publish("t")
        let outcome = await withUnsafeContinuation {
            (continuation: UnsafeContinuation<OutgoingPublish.Outcome, Never>) in
            message.continuation = continuation
            message.complete(.success(MQTTPublishResult(reasonCode: .success)))
            message.complete(.failure(MQTTError(.stopped, "late")))
        }
        #expect(try outcome.get().reasonCode == .success)
    }
}

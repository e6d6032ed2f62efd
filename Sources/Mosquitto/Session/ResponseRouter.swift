// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// Routes responses from a client's response topic to the waiting requests.
///
/// The router subscribes with the first request, and stays subscribed until the client stops.
actor ResponseRouter {
    private struct Waiting {
        let continuation: CheckedContinuation<Result<MQTTMessage, MQTTError>, Never>
        let sending: Task<Void, Never>
        let deadline: Task<Void, Never>
        /// True if the broker has reported that no subscriber matches the topic of the request.
        var reachesNobody = false
    }

    private let session: Session
    private let filter: MQTTSubscription
    private var subscription: Task<Result<Void, MQTTError>, Never>?
    private var waiting: [[UInt8]: Waiting] = [:]

    init(_ session: Session, topic: String) {
        self.session = session
        filter = MQTTSubscription(MQTTTopicFilter(topic), retainHandling: .doNotSend)
    }

    /// Publishes a request, and waits for the response with its correlation data.
    nonisolated func request(
        _ publish: OutgoingPublish, _ correlation: [UInt8], timeout: Duration
    ) async -> Result<MQTTMessage, MQTTError> {
        await session.hearingShutdown {
            await withTaskCancellationHandler {
                await self.wait(publish, correlation, timeout)
            } onCancel: {
                Task { await self.finish(correlation, .failure(Self.cancelled)) }
            }
        } end: { _ in
            Task { await self.finish(correlation, .failure(Session.shuttingDown("the request"))) }
        }
    }

    private static var cancelled: MQTTError { MQTTError(.cancelled, "the request was cancelled") }

    private func wait(
        _ publish: OutgoingPublish, _ correlation: [UInt8], _ timeout: Duration
    ) async -> Result<MQTTMessage, MQTTError> {
        // The job of a cancellation runs before this one or after it, not in between.
        if Task.isCancelled { return .failure(Self.cancelled) }
        return await withCheckedContinuation { continuation in
            let sending = Task { await self.send(publish, correlation) }
            let deadline = Task {
                guard (try? await Task.sleep(for: timeout.clampedToWait)) != nil else { return }
                self.timedOut(correlation, timeout)
            }
            session.shared.awaitedResponses.add(1, ordering: .releasing)
            session.wakeReader()
            waiting[correlation] = Waiting(continuation: continuation, sending: sending, deadline: deadline)
        }
    }

    private func timedOut(_ correlation: [UInt8], _ timeout: Duration) {
        var error = MQTTError(.timeout, "there was no response within \(timeout)")
        if waiting[correlation]?.reachesNobody == true {
            error.message += "; the broker reported that nobody has subscribed to the topic of the request"
        }
        finish(correlation, .failure(error))
    }

    private func finish(_ correlation: [UInt8], _ outcome: Result<MQTTMessage, MQTTError>) {
        guard let request = waiting.removeValue(forKey: correlation) else { return }
        session.shared.awaitedResponses.subtract(1, ordering: .releasing)
        request.sending.cancel()
        request.deadline.cancel()
        request.continuation.resume(returning: outcome)
    }

    private func send(_ publish: OutgoingPublish, _ correlation: [UInt8]) async {
        do throws(MQTTError) {
            try await subscribe()
            let result = try await session.publish(publish)
            if result.reasonCode == .noMatchingSubscribers { waiting[correlation]?.reachesNobody = true }
        } catch {
            finish(correlation, .failure(error))
        }
    }

    // MARK: Responses

    /// Returns when the broker has granted the subscription. After a refusal the next request subscribes again.
    private func subscribe() async throws(MQTTError) {
        let task = subscription ?? Task { await self.makeSubscription() }
        subscription = task
        let outcome = await task.value
        // The subscription may already be one that another request has started since.
        if case .failure = outcome, subscription == task { subscription = nil }
        try outcome.get()
    }

    /// Subscribes. After a refusal nothing remains: neither a consumer, nor a filter for which the next connection
    /// would subscribe again.
    private func makeSubscription() async -> Result<Void, MQTTError> {
        let consumer = MessageBuffer([filter], policy: .default, wake: session.wakeReader)
        do throws(MQTTError) {
            _ = try await session.subscribe(consumer)
            Task { await self.receive(consumer) }
            return .success(())
        } catch {
            await session.endScope(of: consumer, hasHandledLast: true)
            return .failure(error)
        }
    }

    private func receive(_ consumer: MessageBuffer) async {
        while let message = await consumer.next(isolation: self) {
            if let correlation = message.properties.correlationData { finish(correlation, .success(message)) }
        }
        // The client has stopped, or the broker refuses the filter: the next request subscribes again.
        subscription = nil
        let reason = consumer.ending ?? MQTTError(.stopped, "the client has stopped")
        for correlation in Array(waiting.keys) { finish(correlation, .failure(reason)) }
    }
}

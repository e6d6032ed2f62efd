// SPDX-License-Identifier: Apache-2.0

/// The end of a subscription whose session ends too, without a loss: for a member that leaves its group.
extension Session {
    /// Unsubscribes, and returns after the consumer has handled all that the broker still had for the session.
    ///
    /// MQTT has no sign for "nothing is left". A broker sends the next buffered message when its window has room, that
    /// is on an acknowledgement; so the answer to a request that follows the last acknowledgement is behind that
    /// message. The second request is for a broker that answers ahead of messages that it has begun to send.
    ///
    /// Throws ``MQTTError/Code/cancelled`` if the consumer ends before: the broker may have messages for the session.
    /// Throws ``MQTTError/Code/operationRefused`` if the broker keeps a subscription: it goes on assigning messages.
    nonisolated func leave(_ consumer: MessageBuffer) async throws(MQTTError) {
        let codes = try await awaitingUnsubscription { caller in await self.withdraw(consumer, caller) }
        if let code = codes.first(where: \.isError) {
            throw .operationRefused(code, "the broker refused to end the subscription: \(code)")
        }
        let filters = consumer.subscriptions.map(\.filter.filter)
        var quietAnswers = 0
        while quietAnswers < 2 {
            await consumer.untilHandled()
            let received = consumer.received
            if quietAnswers > 0 { try? await Task.sleep(for: .milliseconds(100)) }
            _ = try await awaitingUnsubscription { caller in await self.withdrawAgain(from: filters, caller) }
            if consumer.isFinished {
                throw MQTTError(.cancelled, "the consumer ended before it had all messages of its session")
            }
            quietAnswers = consumer.received == received ? quietAnswers + 1 : 0
        }
    }

    private func withdraw(_ consumer: MessageBuffer, _ caller: WaiterID) async -> Result<[MQTTReasonCode], MQTTError> {
        await awaitUnsuback(caller) { $0.withdraw(consumer, caller) }
    }

    /// Sends the acknowledgements of handled messages, and an UNSUBSCRIBE behind them.
    private func withdrawAgain(
        from filters: [String], _ caller: WaiterID
    ) async -> Result<[MQTTReasonCode], MQTTError> {
        takeReceipts()
        return await awaitUnsuback(caller) { $0.withdrawAgain(from: filters, caller) }
    }

    private func awaitUnsuback(
        _ caller: WaiterID, _ request: (inout Subscriber) -> Void
    ) async -> Result<[MQTTReasonCode], MQTTError> {
        if case .stopped = machine.state { return .failure(MQTTError(.stopped, "the client has stopped")) }
        return await withCheckedContinuation { continuation in
            waiters.addForSubscription(caller, continuation)
            request(&subscriber)
            unsubscribe(caller)
        }
    }
}

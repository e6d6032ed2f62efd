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
            try await requestAnswer(filters)
            if consumer.isFinished {
                throw MQTTError(.cancelled, "the consumer ended before it had all messages of its session")
            }
            quietAnswers = consumer.received == received ? quietAnswers + 1 : 0
        }
    }

    /// Sends a request, and returns after its answer. rumqttd 0.20 does not answer an UNSUBSCRIBE for filters without a
    /// subscription (MQTT 3.1.1, section 3.10.4): the answer to a PINGREQ, and some time, are enough there.
    private nonisolated func requestAnswer(_ filters: [String]) async throws(MQTTError) {
        do throws(MQTTError) {
            _ = try await awaitingUnsubscription { caller in
                let limit = Task { await self.endWait(caller) }
                defer { limit.cancel() }
                return await self.withdrawAgain(from: filters, caller)
            }
        } catch {
            if error.code != .timeout { throw error }
        }
    }

    /// The time for an UNSUBACK after the PINGRESP that should have followed it.
    private static let unsubackPatience = Duration.seconds(2)

    private nonisolated func endWait(_ caller: WaiterID) async {
        while !(await hasPingAnswer()) {
            do { try await Task.sleep(for: .milliseconds(100)) } catch { return }
        }
        do { try await Task.sleep(for: Self.unsubackPatience) } catch { return }
        await cancelUnsubscribing(caller, MQTTError(.timeout, "the broker does not answer the UNSUBSCRIBE"))
    }

    /// Sends the acknowledgements of handled messages, and a PINGREQ behind them. Returns true after the PINGRESP, and
    /// false if the connection has ended before, if there is none, and if the task was cancelled.
    private func hasPingAnswer() async -> Bool {
        takeReceipts()
        guard !Task.isCancelled, isConnectionKept, let connection else { return false }
        let caller = makeWaiterID()
        let outcome = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                connection.ping()
                needsFlush()
                waiters.addForPing(caller, continuation)
            }
        } onCancel: {
            Task { await self.endPing(caller) }
        }
        if case .success(true) = outcome { return true }
        return false
    }

    private func endPing(_ caller: WaiterID) { waiters.endPingWait(caller) }

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

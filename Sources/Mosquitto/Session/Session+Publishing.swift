// SPDX-License-Identifier: Apache-2.0

import Logging

#if ServiceLifecycle
import ServiceLifecycle
#endif

/// Outgoing messages: ``Publisher`` encodes them into packets, which are written here, and handles their
/// acknowledgements.
extension Session {
    // MARK: From any thread

    nonisolated func enqueue(_ publish: OutgoingPublish) throws(MQTTError) {
        if try shared.queue.post(publish) { loop.schedule(self) }
    }

    nonisolated(nonsending) func publish(_ publish: OutgoingPublish) async throws(MQTTError) -> MQTTPublishResult {
        let outcome = await withGracefulShutdownHandler {
            await self.awaitPublish(publish)
        } onGracefulShutdown: {
            Task { await self.leave(.publish(publish)) }
        }
        if case .failure(let error) = outcome, error.code == .stopped { await shared.awaitTurn() }
        return try outcome.get()
    }

    private nonisolated(nonsending) func awaitPublish(_ publish: OutgoingPublish) async -> OutgoingPublish.Outcome {
        await withTaskCancellationHandler {
            await withUnsafeContinuation { (continuation: OutgoingPublish.Continuation) in
                do throws(MQTTError) {
                    if try shared.queue.post(publish, continuation) { loop.schedule(self) }
                } catch {
                    continuation.resume(returning: .failure(error))
                }
            }
        } onCancel: {
            withdraw(publish, MQTTError(.cancelled, "the publish was cancelled"))
        }
    }

    /// Ends the wait for a publish with this error.
    nonisolated func withdraw(_ publish: OutgoingPublish, _ error: MQTTError) {
        switch shared.queue.withdraw(publish, error) {
        // The post will fail, or another owner resumes the caller.
        case .unposted, .gone: break
        // A shutdown may have waited for it.
        case .withdrawn: Task { await self.checkDrained() }
        case .taken: Task { await self.cancel(publish, error) }
        }
    }

    private func cancel(_ publish: OutgoingPublish, _ error: MQTTError) {
        publisher.cancel(publish, error)
        checkDrained()
    }

    // MARK: On the loop

    /// Writes messages within the limits of the window, the socket and the turn. ``flush()`` sends them.
    func pump() {
        guard let connection, connection.stage == .established, isPublishingAllowed, !connection.isBacklogged
        else { return }
        if publisher.pace != nil { publisher.advancePace(now: .now) }
        var turn = Publisher.Turn(isConnected: isConnectionKept)
        while publisher.encode(&turn, isBacklogged: connection.isBacklogged, &suspects) { write(connection) }
        if let delay = publisher.paceDelay { setTimer(.pace, after: delay) { $0.needsFlush() } }
        watchAge()
    }

    /// Writes the encoded packets.
    private func write(_ connection: Connection) {
        suspects.writes(publisher.bytes.count, isIdle: !connection.hasUnsent, received: connection.receivedBytes)
        let start = connection.position
        // No copy is retained: the encoder keeps its memory.
        connection.write(publisher.bytes)
        connection.promiseDelivery()
        publisher.written(
            wire: start..<connection.position, headerRoom: connection.headerRoom, recordSize: connection.recordSize)
    }

    private var isPublishingAllowed: Bool {
        switch machine.state {
        case .connected, .draining(.shutdown): true
        default: false
        }
    }

    /// True if there is a connection that is not being closed.
    var isConnectionKept: Bool { if case .connected = machine.state { true } else { false } }

    /// Schedules another turn for the messages that this one left.
    func resumePumping() {
        guard isPublishingAllowed, let connection, !connection.isBacklogged else { return }
        if publisher.hasNext(&suspects, isConnected: isConnectionKept) { loop.schedule(self) }
    }

    /// Records whether there is a connection, and refuses the messages that do not wait for one.
    func setOffline(_ isOffline: Bool) {
        publisher.setOffline(isOffline)
        watchExpiry()
    }

    // MARK: Acknowledgements

    /// Handles a PUBACK, PUBREC or PUBCOMP.
    func acknowledged(_ answer: Publisher.Answer) {
        switch answer {
        case .unknown: return
        case .violation(let error): return ended(error)
        case .takenOver(let publish): answered(.publish(publish))
        case .answered(let publish, let refusal):
            answered(.publish(publish))
            if let refusal { noticeRefusal(refusal) }
            checkDrained()
        }
    }
}

extension Publisher.Configuration {
    init(_ configuration: MQTTClientConfiguration) {
        self.init(
            version: configuration.version, clientID: configuration.effectiveClientID,
            maximumInFlight: configuration.publishing.maximumInFlight, isPersistent: configuration.session != .clean,
            queuesQoS0Offline: configuration.publishing.queue.queuesQoS0Offline,
            topicAlias: configuration.publishing.topicAlias, rate: configuration.publishing.rate)
    }
}

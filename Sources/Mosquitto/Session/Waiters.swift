// SPDX-License-Identifier: Apache-2.0

/// Owns the calls that wait for the client: for a connection, a rotation, or its end.
struct Waiters {
    typealias StopContinuation = CheckedContinuation<Result<Void, MQTTError>, Never>

    private var connection = WaiterList<MQTTConnectionInfo>()
    private var rotation = WaiterList<Void>()
    /// Calls that wait for a connection with a new client certificate.
    private var identity = WaiterList<Void>()
    /// Callers that wait for the broker's answer on a subscription, or for its end.
    private var subscriptions = WaiterList<[MQTTReasonCode]>()
    /// Calls that wait for a PINGRESP: true for an answer, false if the connection has ended before.
    private var pings = WaiterList<Bool>()
    private var barriers = PingBarriers()
    private var stop: [StopContinuation] = []
    private var lastID: UInt64 = 0
    /// Calls of tasks that are being shut down.
    private var leaving: [Session.Leaving] = []
    /// The number of `leaving` calls at which completed ones are removed.
    private var leavingLimit = Self.leavingMinimum
    private static let leavingMinimum = 64
    /// True after a call has waited for a client that is not running: the warning is not repeated.
    var isIdleWatched = false

    mutating func makeID() -> WaiterID {
        lastID += 1
        return WaiterID(number: lastID)
    }

    // MARK: Connections and rotations

    mutating func addForConnection(
        _ id: WaiterID, _ continuation: CheckedContinuation<Result<MQTTConnectionInfo, MQTTError>, Never>
    ) { connection.add(id, continuation) }

    mutating func addForRotation(_ id: WaiterID, _ continuation: StopContinuation) { rotation.add(id, continuation) }

    mutating func addForIdentity(_ id: WaiterID, _ continuation: StopContinuation) { identity.add(id, continuation) }

    mutating func endConnectionWait(_ id: WaiterID, _ error: MQTTError) { connection.resume(id, .failure(error)) }

    mutating func endRotationWait(_ id: WaiterID, _ error: MQTTError) {
        rotation.resume(id, .failure(error))
        identity.resume(id, .failure(error))
    }

    /// Resumes the calls that wait for a connection or a rotation.
    mutating func connected(_ info: MQTTConnectionInfo) {
        connection.resumeAll(.success(info))
        rotation.resumeAll(.success(()))
        identity.resumeAll(.success(()))
    }

    mutating func rotated(_ outcome: Result<Void, MQTTError>) { rotation.resumeAll(outcome) }

    // MARK: Subscriptions

    mutating func addForSubscription(
        _ id: WaiterID, _ continuation: CheckedContinuation<Result<[MQTTReasonCode], MQTTError>, Never>
    ) { subscriptions.add(id, continuation) }

    mutating func endSubscriptionWait(_ id: WaiterID, _ outcome: Result<[MQTTReasonCode], MQTTError>) {
        subscriptions.resume(id, outcome)
    }

    // MARK: PINGREQ

    /// Records a PINGREQ of the keep-alive.
    mutating func pinged() { barriers.pinged() }

    /// Adds a call whose PINGREQ was written.
    mutating func addForPing(_ id: WaiterID, _ continuation: CheckedContinuation<Result<Bool, MQTTError>, Never>) {
        pings.add(id, continuation)
        barriers.pinged(for: id)
    }

    mutating func pingAnswered() { for id in barriers.answer() { pings.resume(id, .success(true)) } }

    mutating func pingsEnded() { for id in barriers.connectionEnded() { pings.resume(id, .success(false)) } }

    mutating func endPingWait(_ id: WaiterID) {
        barriers.cancel(id)
        pings.resume(id, .success(false))
    }

    // MARK: Calls of tasks that are being shut down

    /// - Parameter isOver: returns true for a publish whose outcome was reported.
    mutating func addLeaving(_ call: Session.Leaving, isOver: (OutgoingPublish) -> Bool) {
        leaving.append(call)
        // A service may publish many messages after its shutdown has begun.
        guard leaving.count >= leavingLimit else { return }
        leaving.removeAll { if case .publish(let publish) = $0 { isOver(publish) } else { false } }
        leavingLimit = max(Self.leavingMinimum, 2 * leaving.count)
    }

    mutating func takeLeaving() -> [Session.Leaving] {
        defer { leaving = [] }
        return leaving
    }

    // MARK: The end

    mutating func addForStop(_ continuation: StopContinuation) { stop.append(continuation) }

    /// Resumes all calls after the client has stopped: those that wait for that return, all others fail.
    mutating func stopped(_ error: MQTTError?, _ reason: MQTTError) {
        connection.resumeAll(.failure(reason))
        rotation.resumeAll(.failure(reason))
        identity.resumeAll(.failure(reason))
        pings.resumeAll(.failure(reason))
        leaving = []
        let all = stop
        stop = []
        for waiter in all { waiter.resume(returning: error.map { .failure($0) } ?? .success(())) }
    }
}

// SPDX-License-Identifier: Apache-2.0

#if Metrics
import CoreMetrics

/// Counts the operations of a client, and reports them to the metrics system.
///
/// An event that may occur for each message is an addition here. The sums are reported when an interval has passed
/// since the first change: a busy client reports once per interval, an idle one never. Levels are reported as
/// differences, so that those of clients with the same dimensions add up.
///
/// `@unchecked Sendable`: only the loop's thread accesses the variables. Methods that may be called on any thread say
/// so.
final class ClientMetrics: @unchecked Sendable {
    /// Schedules an action on the loop's thread.
    typealias Schedule = (_ delay: Duration, _ action: @escaping () -> Void) -> Void

    /// Returns the current levels of the client, on the loop's thread.
    var levels: (() -> (inFlight: Int, queued: Int))?
    private let handles: MetricHandles
    private let interval: Duration
    private let schedule: Schedule

    private var published = SIMD4<Int>()
    private var received = SIMD4<Int>()
    private var dropped = 0
    private var traffic = Traffic()
    private var inFlight = Level()
    private var queued = Level()
    private var state: String?
    private var attemptedAt: ContinuousClock.Instant?
    private var tokenFrom: ContinuousClock.Instant?
    private var hasStopped = false
    private var isReportDue = false
    private var isAgeDue = false
    /// The time of this turn of the loop, read when first needed.
    private var turnTime: Uptime?

    private struct Level {
        var now = 0
        var told = 0
    }

    init?(_ configuration: MQTTMetricsConfiguration, schedule: @escaping Schedule) {
        let factory = configuration.factory ?? MetricsSystem.factory
        if factory is NOOPMetricsHandler { return nil }
        handles = MetricHandles(factory, configuration.dimensions)
        interval = configuration.interval
        self.schedule = schedule
    }

    deinit {
        // A client whose loop ended first has never stopped.
        if let state { handles.states[state]?.decrement() }
        handles.inFlight.decrement(by: Double(inFlight.told))
        handles.queued.decrement(by: Double(queued.told))
    }

    // MARK: Connections

    func happened(_ kind: MQTTConnectionEvent.Kind) {
        switch kind {
        case .attemptStarted:
            handles.attempts.increment()
            attemptedAt = .now
        case .attemptFailed(let failed):
            let phase = failed.error.phase?.rawValue ?? "none"
            handles.rare.count("connect_failures_total", ("code", failed.error.code.name), ("phase", phase))
        case .connected:
            if let attemptedAt { handles.connectDuration.record(attemptedAt.duration(to: .now)) }
            reportAge()
        case .disconnected(let disconnection):
            handles.rare.count("disconnections_total", ("code", disconnection.error.code.name))
        case .credentialsRefreshed:
            handles.rare.count("credential_refreshes_total")
            tokenFrom = .now
            reportAge()
        case .credentialsFailed: handles.rare.count("credential_failures_total")
        case .credentialsRotated(let rotated):
            handles.rotations.increment()
            handles.rotationGap.record(rotated.gap)
        case .messagesDropped(let messages): handles.queueDropped.increment(by: messages.count)
        case .resubscribed, .subscriptionRefused, .messagesUnsent, .delayEnded: break
        case .stopped:
            hasStopped = true
            report()
        }
    }

    func entered(_ state: MQTTConnectionState) {
        let name = state.measuredName
        if name != self.state {
            if let old = self.state { handles.states[old]?.decrement() }
            if let name { handles.states[name]?.increment() }
            self.state = name
        }
        updateLevels()
    }

    // MARK: Messages

    /// Counts a message that the broker has acknowledged, or for QoS 0 the transport has accepted.
    ///
    /// - Parameter startedAt: the time at which the publish call began.
    func published(_ qos: MQTTQoS, startedAt: Uptime?) {
        published[Int(qos.rawValue)] += 1
        if let startedAt {
            let now = turnTime ?? .now
            turnTime = now
            // A message published after the turn began took no time.
            handles.publishDuration.record(max(.zero, startedAt.duration(to: now)))
        }
        changed()
    }

    /// Counts messages that were not published. May be called on any thread.
    func failed(_ error: MQTTError, _ count: Int = 1) {
        if error.code == .cancelled { return }
        handles.rare.count("publish_failures_total", ("code", error.code.name), by: count)
    }

    /// Counts received messages, by QoS.
    func received(_ counts: SIMD4<Int>) {
        received &+= counts
        changed()
    }

    /// Counts messages that a full buffer dropped.
    func dropped(_ count: Int) {
        guard count > 0 else { return }
        dropped += count
        changed()
    }

    /// Takes over the traffic of a connection since the last call, and resets it.
    func moved(_ new: inout Traffic) {
        guard new.sent > 0 || new.received > 0 else { return }
        traffic.sent += new.sent
        traffic.received += new.received
        new = Traffic()
        changed()
    }

    func turnEnded() {
        turnTime = nil
        updateLevels()
    }

    private func updateLevels() {
        guard let (inFlight, queued) = levels?() else { return }
        level(inFlight: inFlight, queued: queued)
    }

    func level(inFlight: Int, queued: Int) {
        self.inFlight.now = inFlight
        self.queued.now = queued
        if self.inFlight.now != self.inFlight.told || self.queued.now != self.queued.told { changed() }
    }

    // MARK: Reporting

    private func changed() {
        if hasStopped { return report() }
        guard !isReportDue else { return }
        isReportDue = true
        schedule(interval) { [weak self] in
            self?.isReportDue = false
            self?.reportInTurn()
        }
    }

    private func reportInTurn() {
        updateLevels()
        report()
        // Without a connection the loop is not woken for each message that is queued.
        if queued.now > 0 { changed() }
    }

    private func report() {
        for qos in 0...2 {
            if published[qos] > 0 { handles.published[qos].increment(by: published[qos]) }
            if received[qos] > 0 { handles.received[qos].increment(by: received[qos]) }
        }
        published = SIMD4()
        received = SIMD4()
        if dropped > 0 { handles.dropped.increment(by: dropped) }
        dropped = 0
        if traffic.sent > 0 { handles.sentBytes.increment(by: traffic.sent) }
        if traffic.received > 0 { handles.receivedBytes.increment(by: traffic.received) }
        traffic = Traffic()
        tell(&inFlight, handles.inFlight)
        tell(&queued, handles.queued)
    }

    private func tell(_ level: inout Level, _ meter: Meter) {
        let difference = level.now - level.told
        if difference > 0 { meter.increment(by: Double(difference)) }
        if difference < 0 { meter.decrement(by: Double(-difference)) }
        level.told = level.now
    }

    /// The age grows even while the client is idle. A client without a provider has no token, and is not woken for one.
    private func reportAge() {
        guard let tokenFrom, !hasStopped else { return }
        handles.tokenAge.set(tokenFrom.duration(to: .now) / .seconds(1))
        guard !isAgeDue else { return }
        isAgeDue = true
        schedule(max(interval, Self.ageInterval)) { [weak self] in
            self?.isAgeDue = false
            self?.reportAge()
        }
    }

    private static let ageInterval = Duration.seconds(15)
}

extension Timer {
    fileprivate func record(_ duration: Duration) {
        let (seconds, attoseconds) = duration.components
        recordNanoseconds(seconds &* 1_000_000_000 &+ attoseconds / 1_000_000_000)
    }
}
#endif

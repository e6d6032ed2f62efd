// SPDX-License-Identifier: Apache-2.0

@testable import Mosquitto

/// A state machine with a clock of its own. Every event returns its actions as text, so that a test reads like a trace.
/// The text leaves out cancelled timers; ``timers`` holds the running ones.
struct MachineTrace {
    typealias Machine = SessionStateMachine

    var machine: Machine
    private(set) var now = ContinuousClock.now
    /// The running timers, with their delays.
    private(set) var timers: [Machine.Timer: Duration] = [:]
    /// The delay that the budget imposes on an attempt.
    var turnDelay = Duration.zero
    /// The postponement with which the next request for a turn is answered, during which the provider is not asked.
    var postponement = Duration.zero
    /// The actions of the last event.
    private(set) var actions: [Machine.Action] = []

    init(hasProvider: Bool = false, _ change: (inout Machine.Configuration) -> Void = { _ in }) {
        var configuration = Machine.Configuration(MQTTClientConfiguration(host: "broker"))
        configuration.hasProvider = hasProvider
        // The first delay is exactly a second, one of the authentication tier exactly five.
        configuration.retry.baseDelay = .seconds(1)
        configuration.retry.minimumDelay = .seconds(1)
        configuration.retry.maximumDelay = .seconds(5)
        configuration.retry.seed = 1
        change(&configuration)
        machine = Machine(configuration)
    }

    mutating func advance(by time: Duration) { now += time }

    /// The delay after the last failure.
    var retryDelay: Duration? { timers[.retry] }

    // MARK: Events

    mutating func start() -> [String] { render(machine.start(now: now)) }

    mutating func credentials(unchanged: Bool = false, usableIn: Duration = .zero) -> [String] {
        render(machine.credentialsArrived(unchanged: unchanged, usableIn: usableIn, now: now))
    }

    mutating func credentialsFailed(_ code: MQTTError.Code = .credentials) -> [String] {
        render(machine.credentialsFailed(MQTTError(code, "the issuer is down"), now: now))
    }

    mutating func entered(_ phase: MQTTError.Phase) -> [String] { render(machine.entered(phase)) }

    mutating func accepted(refreshIn: Duration? = nil) -> [String] {
        render(machine.accepted(.sample, refreshIn: refreshIn, now: now))
    }

    @discardableResult
    mutating func failed(_ error: MQTTError) -> [String] { render(machine.attemptFailed(error, now: now)) }

    @discardableResult
    mutating func lost(
        _ error: MQTTError = MQTTError(.closed, "closed"), hasExpired: Bool = false,
        isOperationSuspected: Bool = false
    ) -> [String] {
        render(
            machine.connectionLost(
                error, hasExpired: hasExpired, isOperationSuspected: isOperationSuspected, now: now))
    }

    mutating func reconnectNow() -> [String] { render(machine.reconnectNow()) }

    mutating func networkChanged(_ change: MQTTNetworkChange = .route) -> [String] {
        render(machine.networkChanged(change, now: now))
    }

    mutating func refresh(_ rotation: MQTTRotation = .reconnectNow) -> [String] { render(machine.refresh(rotation)) }
    mutating func reauthenticated(refreshIn: Duration? = nil) -> [String] {
        render(machine.reauthenticated(refreshIn: refreshIn))
    }
    mutating func reauthenticationFailed() -> [String] { render(machine.reauthenticationFailed()) }

    mutating func rotationCredentials(
        unchanged: Bool = false, isEarly: Bool = false, usableIn: Duration = .zero
    ) -> [String] {
        render(machine.rotationCredentialsArrived(unchanged: unchanged, isEarly: isEarly, usableIn: usableIn))
    }

    mutating func expiredTokenRefused() -> [String] { render(machine.expiredTokenRefused()) }

    mutating func rotationFailed(retryAfter: Duration? = nil, isPermanent: Bool = false) -> [String] {
        let error = MQTTError(.credentials, "the issuer is down")
        return render(machine.rotationFailed(error, retryAfter: retryAfter, isPermanent: isPermanent))
    }
    mutating func rotateIdentity() -> [String] { render(machine.rotateIdentity()) }
    mutating func drained() -> [String] { render(machine.drained(now: now)) }
    mutating func closed() -> [String] { render(machine.closed(now: now)) }

    mutating func shutdown(isGraceful: Bool = true, hasUnsent: Bool = false) -> [String] {
        render(machine.shutdown(isGraceful: isGraceful, hasUnsent: hasUnsent, now: now))
    }
    mutating func disconnectSent() -> [String] { render(machine.disconnectSent()) }

    /// Lets the time of a running timer pass.
    @discardableResult
    mutating func fire(_ timer: Machine.Timer, hasMoved: Bool = false) -> [String] {
        now += timers.removeValue(forKey: timer) ?? .zero
        return render(machine.timerFired(timer, hasMoved: hasMoved, now: now))
    }

    // MARK: Shortcuts

    /// Starts the client and lets the broker accept it at once.
    static func connected(
        hasProvider: Bool = false, refreshIn: Duration? = nil,
        _ change: (inout Machine.Configuration) -> Void = { _ in }
    ) -> MachineTrace {
        var trace = MachineTrace(hasProvider: hasProvider, change)
        _ = trace.start()
        trace.connectAgain(refreshIn: refreshIn)
        return trace
    }

    /// Runs an attempt from its start to the connection.
    mutating func connectAgain(refreshIn: Duration? = nil) {
        _ = credentials()
        _ = entered(.connect)
        _ = entered(.connack)
        _ = accepted(refreshIn: refreshIn)
    }

    // MARK: Text

    private mutating func render(_ actions: [Machine.Action]) -> [String] {
        self.actions = actions
        var lines: [String] = []
        for action in actions {
            switch action {
            case .setTimer(let timer, let delay): timers[timer] = delay
            case .cancelTimer(let timer): timers[timer] = nil
            case .requestTurn:
                // Leaves the budget out, unless a test asks for a wait.
                let granted =
                    postponement > .zero ? machine.postponed(by: postponement) : machine.mayDial(after: turnDelay)
                postponement = .zero
                lines += render(granted)
                self.actions = actions + granted
            default: break
            }
            if let line = Self.text(action) { lines.append(line) }
        }
        return lines
    }

    private static func text(_ action: Machine.Action) -> String? {
        switch action {
        case .emit(let kind): text(kind)
        case .setOffline: nil
        case .fetchCredentials(let attempt): "ask the provider (\(attempt.purpose))"
        case .dial: "dial"
        case .requestTurn: nil
        case .tearDown: "tear down"
        case .establish: "establish"
        case .reauthenticate: "re-authenticate"
        case .finishRotation: "finish the rotation"
        case .drain: "drain"
        case .disconnect: "send DISCONNECT"
        case .countUnsent: nil
        case .setTimer(let timer, let delay): "\(timer) timer \(delay)"
        case .cancelTimer: nil
        case .finish(let error): "finish" + (error.map { ": \($0.code)" } ?? "")
        }
    }

    private static func text(_ kind: MQTTConnectionEvent.Kind) -> String {
        switch kind {
        case .attemptStarted(let started): "[attempt \(started.attempt)\(started.isInitial ? ", initial" : "")]"
        case .attemptFailed(let failed):
            "[attempt \(failed.attempt) failed in \(failed.error.phase?.rawValue ?? "?"): \(failed.error.code), \(text(failed.decision))]"
        case .connected(let info): "[connected at attempt \(info.attempt)]"
        case .disconnected(let lost): "[disconnected: \(lost.error.code), \(text(lost.decision))]"
        case .credentialsRefreshed: "[credentials refreshed]"
        case .credentialsFailed(let failed): "[credentials failed: \(failed.message)]"
        case .credentialsRotated(let rotated): "[credentials rotated, gap \(rotated.gap)]"
        case .resubscribed(let filters): "[resubscribed \(filters)]"
        case .messagesUnsent(let unsent): "[\(unsent.count) messages unsent]"
        case .messagesDropped(let dropped): "[dropped \(dropped.count)]"
        case .subscriptionRefused(let refused): "[subscriptionRefused \(refused.filter)]"
        case .delayEnded(let ended): "[delay ended: \(ended.change)]"
        case .stopped(let error): "[stopped\(error.map { ": \($0.code)" } ?? "")]"
        }
    }

    private static func text(_ decision: MQTTRetryPolicy.Decision) -> String {
        switch decision {
        case .retry(let tier): "retry \(tier)"
        case .retryWithFreshCredentials: "retry with fresh credentials"
        case .redirect: "redirect"
        case .stop: "stop"
        }
    }
}

extension MQTTConnectionInfo {
    static let sample = MQTTConnectionInfo(
        attempt: 0, endpoint: MQTTEndpoint(host: "broker", port: 8883), address: "192.0.2.1", sessionPresent: false,
        tls: nil,
        clientID: "c", properties: MQTTConnackProperties())
}

extension MQTTError {
    static let refusedConnection = MQTTError(.connectionRefused, "connection refused")

    /// Returns the client's error for a CONNACK or DISCONNECT with this code.
    static func reason(_ code: MQTTReasonCode) -> MQTTError {
        let isAuthentication = code == .notAuthorized || code == .badUserNameOrPassword
        var error = MQTTError(isAuthentication ? .notAuthorized : .refused, "\(code)")
        error.reasonCode = code
        return error
    }
}

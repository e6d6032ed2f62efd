// SPDX-License-Identifier: Apache-2.0

import Testing
import Turns

@testable import Mosquitto

@Suite(.turn(.units)) struct `The state machine, whatever happens` {
    @Test(arguments: UInt64(0)..<64)
    func `keeps its promises over a random walk`(seed: UInt64) async {
        var generator = JitterGenerator(seed: seed)
        var steps = 0
        while steps < 20_000 {
            var walk = Walk(using: &generator)
            steps += walk.run(atMost: 20_000 - steps, using: &generator)
            if let broken = walk.broken {
                Issue.record("seed \(seed), step \(steps): \(broken)\n\(walk.log.suffix(20).joined(separator: "\n"))")
                return
            }
            // For tests that wait for a thread of the pool.
            await Task.yield()
        }
    }
}

/// Sends random events to one machine, and checks the invariants after each.
private struct Walk {
    typealias Machine = SessionStateMachine

    private var machine: Machine
    private let redirects: MQTTRedirectPolicy
    private let hosts: Set<String>
    private var now = ContinuousClock.now
    private var timers: Set<Machine.Timer> = []
    private var openAttempts = 0
    private var isDialing = false
    private var isAsking = false
    private var isTurnRequested = false
    private var isLate = false
    private var isStopped = false
    private var finishes = 0
    private var steps: [(name: String, state: Machine.State, timers: Set<Machine.Timer>)] = []
    private(set) var broken: String?

    /// The last steps, in words, which take a debug build longer than the steps.
    var log: [String] { steps.map { "\($0.name) -> \($0.state) timers \($0.timers)" } }

    init(using generator: inout JitterGenerator) {
        let seed = generator.next()
        var configuration = Machine.Configuration(MQTTClientConfiguration(host: "broker"))
        configuration.endpoints = (0..<Int.random(in: 1...4, using: &generator)).map {
            MQTTEndpoint(host: "broker\($0)", port: 8_883)
        }
        configuration.endpointOrder = Bool.random(using: &generator) ? .ordered : .shuffled
        configuration.redirects = [.none, .listed, .any].randomElement(using: &generator)!
        // A client that fails fast usually has a short walk, so most walks use the other modes.
        configuration.firstConnection =
            [.background, .background, .waitUntilConnected(within: .seconds(60)), .failFast]
            .randomElement(using: &generator)!
        configuration.hasProvider = Bool.random(using: &generator)
        configuration.hasClientCertificate = Bool.random(using: &generator)
        configuration.retry.seed = seed
        configuration.retry.limit = seed.isMultiple(of: 5) ? .attempts(50) : .forever
        redirects = configuration.redirects
        hosts = Set(configuration.endpoints.map(\.host))
        machine = Machine(configuration)
    }

    /// Returns the number of steps made.
    mutating func run(atMost limit: Int, using generator: inout JitterGenerator) -> Int {
        step("start", machine.start(now: now))
        var afterTheEnd = 0
        for made in 1...limit {
            now += .milliseconds(Int.random(in: 0...9_000, using: &generator))
            let (name, actions) = event(using: &generator)
            step(name, actions)
            if broken != nil { return made }
            if isStopped { afterTheEnd += 1 }
            if afterTheEnd > 20 { return made }
        }
        return limit
    }

    private mutating func event(using generator: inout JitterGenerator) -> (String, [Machine.Action]) {
        let coin = Bool.random(using: &generator)
        switch Int.random(in: 0..<400, using: &generator) {
        case 0: return ("shutdown", machine.shutdown(isGraceful: coin, now: now))
        case 1..<60:
            isAsking = false
            return ("credentials", machine.credentialsArrived(unchanged: coin, now: now))
        case 60..<75:
            isAsking = false
            return ("no credentials", machine.credentialsFailed(MQTTError(.credentials, "no"), now: now))
        case 75..<120:
            return ("entered", machine.entered([.connect, .tlsHandshake, .connack].randomElement(using: &generator)!))
        case 120..<180: return ("accepted", machine.accepted(.sample, refreshIn: coin ? .seconds(1) : nil, now: now))
        case 180..<220: return ("failed", machine.attemptFailed(Self.error(using: &generator), now: now))
        case 220..<240:
            let isSuspected = Bool.random(using: &generator)
            return (
                "lost",
                machine.connectionLost(
                    Self.error(using: &generator), hasExpired: coin, isOperationSuspected: isSuspected, now: now)
            )
        case 240..<255: return ("refresh", machine.refresh(coin ? .reconnectNow : .reauthenticate))
        case 255..<285:
            isAsking = false
            return ("rotation", machine.rotationCredentialsArrived(unchanged: coin))
        case 285..<295:
            isAsking = false
            return ("no rotation", machine.rotationFailed(MQTTError(.credentials, "no")))
        case 295..<320: return ("drained", machine.drained(now: now))
        case 320..<345: return ("closed", machine.closed(now: now))
        case 345..<350: return ("reconnect now", machine.reconnectNow())
        default:
            // Only a timer that is set can fire.
            let set = Machine.Timer.allCases.filter(timers.contains)
            guard let timer = set.randomElement(using: &generator) else { return ("no timer", []) }
            timers.remove(timer)
            return ("timer \(timer)", machine.timerFired(timer, hasMoved: Bool.random(using: &generator), now: now))
        }
    }

    private static func error(using generator: inout JitterGenerator) -> MQTTError {
        let codes: [MQTTReasonCode] = [
            .notAuthorized, .badUserNameOrPassword, .serverBusy, .maximumConnectTime, .unspecifiedError,
            .serverShuttingDown, .connectionRateExceeded, .success,
        ]
        switch Int.random(in: 0..<300, using: &generator) {
        case 0: return .reason(.sessionTakenOver)
        case 1..<120: return .refusedConnection
        case 120..<140: return MQTTError(.closed, "closed")
        case 140..<220:
            let targets = ["broker0", "broker1:1", "BROKER2.", "elsewhere:1", "mqtt://broker0", "", "x y z:1"]
            return .redirection(
                Bool.random(using: &generator) ? .useAnotherServer : .serverMoved,
                to: targets.randomElement(using: &generator)!)
        default: return .reason(codes.randomElement(using: &generator)!)
        }
    }

    private mutating func step(_ name: String, _ actions: [Machine.Action]) {
        steps.append((name, machine.state, timers))
        if steps.count > 64 { steps.removeFirst(32) }
        if isStopped, !actions.isEmpty { fail("\(actions) after the end") }
        for action in actions { check(action) }
        if isTurnRequested {
            isTurnRequested = false
            // The budget delays every other attempt.
            isLate.toggle()
            return step("turn", machine.mayDial(after: isLate ? .seconds(1) : .zero))
        }
        checkState()
    }

    private mutating func check(_ action: Machine.Action) {
        switch action {
        case .setTimer(let timer, let delay):
            timers.insert(timer)
            if delay < .zero { fail("a negative delay for \(timer)") }
        case .cancelTimer(let timer): timers.remove(timer)
        case .emit(.attemptStarted):
            openAttempts += 1
            if openAttempts > 1 { fail("two attempts at once") }
        case .emit(.attemptFailed), .emit(.connected):
            openAttempts -= 1
            isDialing = false
            if openAttempts < 0 { fail("a final event without an attempt") }
        case .emit(.stopped):
            if isStopped { fail("stopped twice") }
            isStopped = true
            // A shutdown ends an attempt without a failure.
            openAttempts = 0
        case .emit: if isStopped { fail("an event after stopped") }
        case .dial(let endpoint):
            let host = endpoint.host.lowercased().split(separator: ".").joined(separator: ".")
            if redirects != .any, !hosts.contains(host) { fail("a dial to \(endpoint)") }
            if openAttempts != 1 || isDialing { fail("a dial without an attempt of its own") }
            isDialing = true
        case .tearDown:
            isDialing = false
            isAsking = false
        case .fetchCredentials:
            if isAsking { fail("the provider is asked twice at once") }
            isAsking = true
        case .finish:
            finishes += 1
            if finishes > 1 || !isStopped { fail("finished out of order") }
        case .requestTurn: isTurnRequested = true
        case .countUnsent, .setOffline: break
        case .establish, .reauthenticate, .finishRotation, .drain, .disconnect:
            if isStopped { fail("\(action) after stopped") }
        }
    }

    private mutating func checkState() {
        let needed: [Machine.Timer]
        var attempts = 0
        switch machine.state {
        case .idle: needed = []
        case .fetching: (needed, attempts) = ([], 1)
        case .dialing: (needed, attempts) = ([.attempt, .phase], 1)
        case .connected: needed = []
        case .draining: needed = [.drain]
        case .disconnecting: needed = [.close]
        case .waiting: needed = timers.contains(.turn) ? [.turn] : [.retry]
        case .stopped:
            needed = []
            if !timers.isEmpty { fail("timers \(timers) after the end") }
        }
        for timer in needed where !timers.contains(timer) { fail("no \(timer) timer in \(machine.state)") }
        if openAttempts != attempts { fail("\(openAttempts) open attempts in \(machine.state)") }
    }

    private mutating func fail(_ what: String) { broken = broken ?? what }
}

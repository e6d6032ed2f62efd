// SPDX-License-Identifier: Apache-2.0

import Mosquitto

/// The next step of a client.
enum SimulatedStep: Equatable {
    /// The client sleeps for this long.
    case sleep(Duration)
    /// A CONNECT arrives at the broker now.
    case dial
    /// The client ends.
    case stop
}

/// A client that starts connected. Times count from the loss of the broker.
protocol SimulatedClient {
    mutating func connectionLost(at time: Duration) -> SimulatedStep
    /// Ends the client's sleep.
    mutating func wake(at time: Duration) -> SimulatedStep
    mutating func refused(at time: Duration) -> SimulatedStep
}

/// This library's client: the state machine that every `MQTTClient` runs, with the policy for production. The budget of
/// the process does not apply, since each client stands for a process of its own.
struct MachineClient: SimulatedClient {
    /// An arbitrary instant: the machine only computes differences.
    private static let origin = ContinuousClock.now

    private var machine: SessionStateMachine
    private var timer: SessionStateMachine.Timer?

    init(seed: UInt64) {
        var configuration = MQTTClientConfiguration(host: "broker.example.com", tls: nil)
        configuration.retry.seed = seed
        machine = SessionStateMachine(SessionStateMachine.Configuration(configuration))
        let longAgo = Self.origin - .seconds(3_600)
        _ = machine.start(now: longAgo)
        _ = machine.entered(.connack)
        let connection = MQTTConnectionInfo(
            attempt: 1, endpoint: configuration.endpoints[0], address: "", sessionPresent: false, tls: nil,
            clientID: "simulated", properties: MQTTConnackProperties())
        _ = machine.accepted(connection, refreshIn: nil, now: longAgo)
    }

    mutating func connectionLost(at time: Duration) -> SimulatedStep {
        perform(machine.connectionLost(MQTTError(.closed, "connection reset"), now: Self.origin + time))
    }

    mutating func wake(at time: Duration) -> SimulatedStep {
        guard let timer else { return .stop }
        self.timer = nil
        return perform(machine.timerFired(timer, now: Self.origin + time))
    }

    mutating func refused(at time: Duration) -> SimulatedStep {
        let entered = machine.entered(.connect)
        let error = MQTTError(.connectionRefused, "connection refused")
        return perform(entered + machine.attemptFailed(error, now: Self.origin + time))
    }

    /// The timers of an attempt never fire, since every dial is answered at once.
    private mutating func perform(_ actions: [SessionStateMachine.Action]) -> SimulatedStep {
        var step = SimulatedStep.stop
        for action in actions {
            switch action {
            case .setTimer(let timer, let delay) where timer == .retry || timer == .turn:
                self.timer = timer
                step = .sleep(delay)
            case .cancelTimer(let timer) where timer == self.timer:
                self.timer = nil
                step = .stop
            case .requestTurn:
                step = perform(machine.mayDial(after: .zero))
            case .dial:
                step = .dial
            default:
                break
            }
        }
        return step
    }
}

/// A client that sleeps for the delay of a peer's policy, and then dials.
struct PeerClient<Policy: PeerPolicy>: SimulatedClient {
    private let policy: Policy
    private var generator: JitterGenerator
    private var failures = 0

    init(_ policy: Policy, seed: UInt64) {
        self.policy = policy
        generator = JitterGenerator(seed: seed)
    }

    mutating func connectionLost(at time: Duration) -> SimulatedStep { sleep() }

    mutating func wake(at time: Duration) -> SimulatedStep { .dial }

    mutating func refused(at time: Duration) -> SimulatedStep { sleep() }

    private mutating func sleep() -> SimulatedStep {
        let delay = policy.delay(failures: failures, using: &generator)
        failures += 1
        return .sleep(delay)
    }
}

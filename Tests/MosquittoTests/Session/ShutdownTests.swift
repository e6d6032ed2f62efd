import Testing

@testable import Mosquitto

@Suite struct `Shutdown` {
    /// A machine in each of its states.
    enum Situation: String, CaseIterable {
        case idle, fetching, dialing, connected, refreshing, drainingForRotation, rotating, waiting, drainingForShutdown
        case shuttingDown

        var trace: MachineTrace {
            var trace = MachineTrace(hasProvider: true)
            if self == .idle { return trace }
            _ = trace.start()
            if self == .fetching { return trace }
            _ = trace.credentials()
            if self == .dialing { return trace }
            if self == .waiting {
                trace.failed(.refusedConnection)
                return trace
            }
            _ = trace.accepted(refreshIn: .seconds(60))
            switch self {
            case .drainingForShutdown: _ = trace.shutdown()
            case .shuttingDown:
                _ = trace.shutdown()
                _ = trace.drained()
            case .refreshing: _ = trace.refresh()
            case .drainingForRotation, .rotating:
                _ = trace.refresh()
                _ = trace.rotationCredentials()
                if self == .rotating { _ = trace.drained() }
            default: break
            }
            return trace
        }
    }

    @Test(arguments: [Situation.idle, .waiting], [true, false])
    func `ends at once where there is nothing to end`(situation: Situation, isGraceful: Bool) {
        var trace = situation.trace
        #expect(trace.shutdown(isGraceful: isGraceful) == ["tear down", "[stopped]", "finish"])
        #expect(trace.timers.isEmpty)
    }

    @Test(arguments: [(Situation.fetching, "credentials"), (.dialing, "resolve")], [true, false])
    func `an attempt under way ends with its final event`(situation: (Situation, String), isGraceful: Bool) {
        var trace = situation.0.trace
        #expect(
            trace.shutdown(isGraceful: isGraceful) == [
                "[attempt 1 failed in \(situation.1): cancelled, stop]", "tear down", "[stopped]", "finish",
            ])
        #expect(trace.timers.isEmpty)
    }

    @Test(arguments: [Situation.connected, .refreshing, .drainingForRotation])
    func `a graceful one drains, disconnects and waits for the broker to close`(situation: Situation) {
        var trace = situation.trace
        #expect(trace.shutdown() == ["drain timer 5.0 seconds", "drain"])
        #expect(trace.drained() == ["close timer 1.0 seconds", "send DISCONNECT"])
        #expect(trace.closed() == ["tear down", "[stopped]", "finish"])
        #expect(trace.timers.isEmpty)
    }

    @Test(arguments: [Situation.connected, .refreshing, .drainingForRotation, .drainingForShutdown])
    func `one that is not graceful disconnects at once and hardly waits`(situation: Situation) {
        var trace = situation.trace
        #expect(trace.shutdown(isGraceful: false) == ["close timer 0.05 seconds", "send DISCONNECT"])
        #expect(trace.fire(.close) == ["tear down", "[stopped]", "finish"])
    }

    @Test func `during a rotation's DISCONNECT it ends with that`() {
        var trace = Situation.rotating.trace
        #expect(trace.shutdown() == [])
        #expect(trace.closed() == ["tear down", "[stopped]", "finish"])
    }

    @Test(arguments: [Situation.rotating, .shuttingDown])
    func `one that is not graceful shortens the wait for the broker to close`(situation: Situation) {
        var trace = situation.trace
        #expect(trace.shutdown(isGraceful: false) == ["close timer 0.05 seconds"])
    }

    @Test(arguments: [Situation.drainingForShutdown, .shuttingDown])
    func `a second graceful one changes nothing`(situation: Situation) {
        var trace = situation.trace
        #expect(trace.shutdown() == [])
    }

    @Test(arguments: [Situation.drainingForShutdown, .shuttingDown])
    func `a connection lost meanwhile ends it without an error`(situation: Situation) {
        var trace = situation.trace
        #expect(trace.lost() == ["tear down", "[stopped]", "finish"])
    }

    @Test func `publishes that are not acknowledged in time do not keep it`() {
        var trace = Situation.drainingForShutdown.trace
        #expect(trace.fire(.drain) == ["close timer 1.0 seconds", "send DISCONNECT"])
        #expect(trace.fire(.close) == ["tear down", "[stopped]", "finish"])
    }

    @Test func `the provider's answer to a rotation is not used any more`() {
        var trace = Situation.refreshing.trace
        _ = trace.shutdown()
        #expect(trace.rotationCredentials() == [])
        #expect(trace.rotationFailed() == [])
    }

    @Test(arguments: Situation.allCases)
    func `nothing follows the end`(situation: Situation) {
        var trace = situation.trace
        _ = trace.shutdown(isGraceful: false)
        _ = trace.closed()
        #expect(trace.start() == [])
        #expect(trace.credentials() == [])
        #expect(trace.credentialsFailed() == [])
        #expect(trace.entered(.connect) == [])
        #expect(trace.accepted() == [])
        #expect(trace.failed(.refusedConnection) == [])
        #expect(trace.lost() == [])
        #expect(trace.refresh() == [])
        #expect(trace.rotationCredentials() == [])
        #expect(trace.rotationFailed() == [])
        #expect(trace.drained() == [])
        #expect(trace.closed() == [])
        #expect(trace.shutdown() == [])
        for timer in SessionStateMachine.Timer.allCases { #expect(trace.fire(timer) == []) }
    }

    @Test func `an error before the start ends the client with it`() {
        var trace = MachineTrace()
        #expect(
            trace.machine.stop(MQTTError(.invalidConfiguration, "bad")).contains {
                if case .finish(let error?) = $0 { error.code == .invalidConfiguration } else { false }
            })
        #expect(trace.start() == [])
    }
}

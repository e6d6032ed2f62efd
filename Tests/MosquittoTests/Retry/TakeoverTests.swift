import Testing

@testable import Mosquitto

@Suite struct `A session that another client takes over` {
    private func version3(hasProvider: Bool = false) -> MachineTrace {
        .connected(hasProvider: hasProvider) { $0.isVersion3 = true }
    }

    /// Connections that are closed soon, and then another one.
    private func loseShortly(_ trace: inout MachineTrace, times: Int) {
        for _ in 0..<times {
            #expect(trace.loses(after: .seconds(29)) == .retry(.standard))
            trace.reconnect()
        }
    }

    @Test func `with MQTT 3.1.1 it is suspected after five short connections in a row`() {
        var trace = version3()
        loseShortly(&trace, times: 4)
        #expect(trace.loses(after: .seconds(29)) == .stop)
        #expect(trace.finished?.code == .sessionTakenOver)
        #expect(trace.finished?.message.contains("client identifier") == true)
    }

    @Test func `with MQTT 5.0 it never is, since that has a code`() {
        var trace = MachineTrace.connected()
        loseShortly(&trace, times: 50)
    }

    @Test func `the code of MQTT 5.0 ends the client at once`() {
        var trace = MachineTrace.connected()
        #expect(trace.loses(.disconnect(.sessionTakenOver, reference: nil)) == .stop)
        #expect(trace.finished?.code == .sessionTakenOver)
    }

    @Test func `a failed attempt in between speaks against it`() {
        var trace = version3()
        for _ in 0..<5 {
            loseShortly(&trace, times: 3)
            #expect(trace.loses(after: .seconds(1)) == .retry(.standard))
            trace.waitForAttempt()
            #expect(trace.fails(.refusedConnection, in: .connect) == .retry(.standard))
            trace.reconnect()
        }
    }

    @Test func `a connection that lasted speaks against it`() {
        var trace = version3()
        for _ in 0..<5 {
            loseShortly(&trace, times: 4)
            #expect(trace.loses(after: .seconds(30)) == .retry(.standard))
            trace.reconnect()
        }
    }

    @Test func `a token that had expired speaks against it`() {
        var trace = version3(hasProvider: true)
        for _ in 0..<5 {
            loseShortly(&trace, times: 4)
            #expect(trace.loses(hasExpired: true) == .retry(.standard))
            trace.reconnect()
        }
    }

    @Test(arguments: [MQTTError.Code.keepAliveTimeout, .protocolViolation, .library])
    func `a loss that is no close speaks against it`(code: MQTTError.Code) {
        var trace = version3()
        for _ in 0..<5 {
            loseShortly(&trace, times: 4)
            #expect(trace.loses(MQTTError(code, "lost")) != .stop)
            trace.reconnect()
        }
    }

    @Test func `a closure may see it otherwise`() {
        var trace = MachineTrace.connected {
            $0.isVersion3 = true
            $0.retry.decide = { $0.error.code == .sessionTakenOver ? .retry(.slow) : .standard(for: $0) }
        }
        loseShortly(&trace, times: 4)
        for _ in 0..<3 {
            #expect(trace.loses() == .retry(.slow))
            trace.reconnect()
        }
    }
}

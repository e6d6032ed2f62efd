// SPDX-License-Identifier: Apache-2.0

import Testing
import Turns

@testable import Mosquitto

@Suite(.turn(.units)) struct `Rotation of credentials` {
    @Test func `fetches, drains, disconnects and connects with the new credentials`() {
        var trace = MachineTrace.connected(hasProvider: true, refreshIn: .seconds(60))
        #expect(trace.fire(.refresh) == ["ask the provider (rotation)"])
        #expect(trace.rotationCredentials() == ["drain timer 5.0 seconds", "drain"])
        #expect(trace.drained() == ["close timer 5.0 seconds", "send DISCONNECT"])
        #expect(
            trace.closed() == [
                "tear down", "[attempt 1]", "attempt timer 30.0 seconds", "phase timer 10.0 seconds", "dial",
            ])
        trace.advance(by: .seconds(2))
        #expect(
            trace.accepted(refreshIn: .seconds(60)) == [
                "[connected at attempt 1]", "[credentials rotated, gap 2.0 seconds]", "refresh timer 60.0 seconds",
                "establish",
            ])
        #expect(Array(trace.timers.keys) == [.refresh])
    }

    @Test func `is not begun twice`() {
        var trace = MachineTrace.connected(hasProvider: true)
        _ = trace.refresh()
        #expect(trace.refresh() == [])
    }

    @Test func `needs a provider and a connection`() {
        var trace = MachineTrace.connected()
        #expect(trace.refresh() == [])
        trace = MachineTrace(hasProvider: true)
        #expect(trace.refresh() == [])
        _ = trace.start()
        #expect(trace.refresh() == [])
    }

    @Test func `a provider with nothing new leaves the connection alone and is asked again later`() {
        var trace = MachineTrace.connected(hasProvider: true, refreshIn: .zero)
        trace.fire(.refresh)
        let answer = trace.rotationCredentials(unchanged: true)
        #expect(answer.first == "[credentials failed: the credential provider has nothing new yet]")
        #expect(answer.count == 2)
        #expect((.seconds(1) ... .seconds(60)).contains(trace.timers[.refresh] ?? .zero))
        #expect(trace.fire(.refresh).last == "ask the provider (rotation)")
    }

    @Test func `a failing provider is asked again with a growing delay`() {
        var trace = MachineTrace.connected(hasProvider: true, refreshIn: .zero)
        var longest = Duration.zero
        for _ in 0..<30 {
            trace.fire(.refresh)
            #expect(trace.rotationFailed().first == "[credentials failed: the issuer is down]")
            longest = max(longest, trace.timers[.refresh] ?? .zero)
            #expect((.seconds(1) ... .seconds(60)).contains(trace.timers[.refresh] ?? .zero))
        }
        #expect(longest > .seconds(8))
    }

    @Test func `the delay towards the provider is reset by a rotation`() {
        var trace = MachineTrace.connected(hasProvider: true)
        for _ in 0..<8 {
            _ = trace.refresh()
            _ = trace.rotationFailed()
        }
        _ = trace.refresh()
        _ = trace.rotationCredentials()
        _ = trace.drained()
        _ = trace.closed()
        _ = trace.accepted()
        _ = trace.refresh()
        _ = trace.rotationFailed()
        #expect(trace.timers[.refresh] == .seconds(1))
    }

    @Test func `what does not drain in time is disconnected all the same`() {
        var trace = MachineTrace.connected(hasProvider: true)
        _ = trace.refresh()
        _ = trace.rotationCredentials()
        #expect(trace.fire(.drain) == ["close timer 5.0 seconds", "send DISCONNECT"])
        #expect(trace.drained() == [])
    }

    @Test func `a broker that does not close is not waited for`() {
        var trace = MachineTrace.connected(hasProvider: true)
        _ = trace.refresh()
        _ = trace.rotationCredentials()
        _ = trace.drained()
        #expect(trace.fire(.close).last == "dial")
        #expect(trace.closed() == [])
    }

    @Test func `a connection lost during the drain is retried like any other`() {
        var trace = MachineTrace.connected(hasProvider: true)
        _ = trace.refresh()
        _ = trace.rotationCredentials()
        #expect(
            trace.lost() == ["tear down", "[disconnected: closed, retry standard]", "retry timer 1.0 seconds"])
        #expect(Array(trace.timers.keys) == [.retry])
        #expect(trace.fire(.retry).last == "ask the provider (connect)")
    }

    @Test func `a connection that breaks after the DISCONNECT was meant to end`() {
        var trace = MachineTrace.connected(hasProvider: true)
        _ = trace.refresh()
        _ = trace.rotationCredentials()
        _ = trace.drained()
        #expect(trace.lost().last == "dial")
    }

    @Test func `a CONNECT that fails after the DISCONNECT is retried, and the gap counts it`() {
        var trace = MachineTrace.connected(hasProvider: true)
        _ = trace.refresh()
        _ = trace.rotationCredentials()
        _ = trace.drained()
        _ = trace.closed()
        _ = trace.entered(.connect)
        #expect(
            trace.failed(.refusedConnection) == [
                "tear down", "[attempt 1 failed in connect: connectionRefused, retry standard]",
                "retry timer 1.0 seconds",
            ])
        #expect(trace.fire(.retry).last == "ask the provider (connect)")
        _ = trace.credentials()
        #expect(trace.accepted().dropFirst().first == "[credentials rotated, gap 1.0 seconds]")
    }

    @Test func `new credentials that are refused are replaced at once`() {
        var trace = MachineTrace.connected(hasProvider: true)
        _ = trace.refresh()
        _ = trace.rotationCredentials()
        _ = trace.drained()
        _ = trace.closed()
        #expect(trace.failed(.reason(.notAuthorized)).last == "ask the provider (rejected)")
    }

    @Test func `a connection lost while the provider is asked ends the rotation`() {
        var trace = MachineTrace.connected(hasProvider: true)
        _ = trace.refresh()
        trace.lost()
        #expect(Array(trace.timers.keys) == [.retry])
        #expect(trace.rotationCredentials() == [])
        #expect(trace.rotationFailed() == [])
    }

    @Test func `a token that is renewed late is no failure yet (newcomer D6)`() {
        var trace = MachineTrace.connected(hasProvider: true, refreshIn: .zero)
        trace.fire(.refresh)
        #expect(trace.rotationCredentials(unchanged: true, isEarly: true) == ["refresh timer 1.0 seconds"])
        #expect(trace.fire(.refresh) == ["ask the provider (rotation)"])
        let late = trace.rotationCredentials(unchanged: true)
        #expect(late.first == "[credentials failed: the credential provider has nothing new yet]")
    }

    @Test func `a refusal after the token's end asks for another one`() {
        var trace = MachineTrace.connected(hasProvider: true, refreshIn: .seconds(60))
        #expect(trace.expiredTokenRefused() == ["ask the provider (rotation)"])
        #expect(trace.expiredTokenRefused() == [])
        #expect(trace.rotationCredentials().last == "drain")
    }

    /// Otherwise each refused message would cause a request to an issuer that is down.
    @Test(arguments: [false, true])
    func `refusals do not bypass the delay after a failure (core 15)`(isPermanent: Bool) {
        var trace = MachineTrace.connected(hasProvider: true, refreshIn: .zero)
        for _ in 0..<3 {
            trace.fire(.refresh)
            _ = trace.rotationFailed(isPermanent: isPermanent)
            for _ in 0..<100 { #expect(trace.expiredTokenRefused() == []) }
            #expect((trace.timers[.refresh] == nil) == isPermanent)
        }
        #expect(trace.refresh().last == "ask the provider (rotation)", "the user's wish comes first")
    }

    @Test func `a new connection is refused anew (core 15)`() {
        var trace = MachineTrace.connected(hasProvider: true, refreshIn: .zero)
        trace.fire(.refresh)
        _ = trace.rotationFailed()
        trace.lost()
        trace.fire(.retry)
        trace.connectAgain()
        #expect(trace.expiredTokenRefused() == ["ask the provider (rotation)"])
    }
}

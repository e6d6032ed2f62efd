// SPDX-License-Identifier: Apache-2.0

import Testing
import Turns

@testable import Mosquitto

@Suite("New credentials on the same connection", .turn(.units))
struct ReauthenticationTests {
    private func connected() -> MachineTrace {
        .connected(hasProvider: true, refreshIn: .seconds(8)) { $0.rotation = .reauthenticate }
    }

    @Test func `they are sent, and accepted without a gap`() {
        var trace = connected()
        #expect(trace.fire(.refresh) == ["ask the provider (rotation)"])
        #expect(trace.rotationCredentials() == ["reauthentication timer 10.0 seconds", "re-authenticate"])
        #expect(
            trace.reauthenticated(refreshIn: .seconds(8)) == [
                "[credentials rotated, gap 0.0 seconds]", "refresh timer 8.0 seconds", "finish the rotation",
            ])
        #expect(trace.machine.state.isConnected)
    }

    @Test func `a broker that does not answer is reconnected to`() {
        var trace = connected()
        _ = trace.fire(.refresh)
        _ = trace.rotationCredentials()
        #expect(trace.fire(.reauthentication) == ["drain timer 5.0 seconds", "drain"])
    }

    @Test func `a refusal is followed by a CONNECT with the new credentials, at once`() {
        var trace = connected()
        _ = trace.fire(.refresh)
        _ = trace.rotationCredentials()
        let actions = trace.lost(.reason(.notAuthorized))
        #expect(
            actions == [
                "tear down", "[disconnected: notAuthorized, retry with fresh credentials]", "[attempt 1]",
                "attempt timer 30.0 seconds", "phase timer 10.0 seconds", "dial",
            ])
        #expect(trace.timers[.reauthentication] == nil)
    }

    @Test(arguments: [(MQTTReasonCode.notAuthorized, 2), (.badAuthenticationMethod, 1), (.protocolError, 1)])
    func `a broker that refuses is not asked for ever`(code: MQTTReasonCode, refusals: Int) {
        var trace = connected()
        for _ in 0..<refusals {
            _ = trace.refresh(.reauthenticate)
            #expect(trace.rotationCredentials().last == "re-authenticate")
            trace.lost(.reason(code))
            _ = trace.entered(.connect)
            _ = trace.entered(.connack)
            _ = trace.accepted()
        }
        _ = trace.refresh(.reauthenticate)
        #expect(trace.rotationCredentials() == ["drain timer 5.0 seconds", "drain"])
    }

    @Test func `a broker that goes away meanwhile has not refused anything`() {
        var trace = connected()
        _ = trace.refresh(.reauthenticate)
        _ = trace.rotationCredentials()
        #expect(trace.lost(.reason(.serverShuttingDown))[1] == "[disconnected: refused, retry standard]")
        #expect(trace.timers[.reauthentication] == nil)
        trace.fire(.retry)
        trace.connectAgain()
        _ = trace.refresh(.reauthenticate)
        #expect(trace.rotationCredentials().last == "re-authenticate")
    }

    /// Rotates the credentials and returns the last action: "re-authenticate", or "drain" for a reconnect.
    private func rotation(_ trace: inout MachineTrace) -> String? {
        _ = trace.refresh(.reauthenticate)
        let last = trace.rotationCredentials().last
        if last == "drain" {
            _ = trace.drained()
            _ = trace.closed()
            _ = trace.entered(.connack)
            _ = trace.accepted()
        }
        return last
    }

    private func lose(_ trace: inout MachineTrace) {
        trace.lost(MQTTError(.closed, "closed"))
        _ = trace.entered(.connack)
        _ = trace.accepted()
    }

    @Test func `a network that breaks meanwhile does not end it for good (core 25)`() {
        var trace = connected()
        #expect(rotation(&trace) == "re-authenticate")
        lose(&trace)
        #expect(rotation(&trace) == "re-authenticate")
        lose(&trace)
        #expect(rotation(&trace) == "drain")
        #expect(rotation(&trace) == "re-authenticate")
        _ = trace.reauthenticated()
        #expect(rotation(&trace) == "re-authenticate")
        lose(&trace)
        #expect(rotation(&trace) == "re-authenticate")
    }

    /// A broker that does not support AUTH closes without a reason.
    @Test func `a broker that closes each time is asked less and less often (core 25)`() {
        var trace = connected()
        var asked = 0
        for _ in 0..<200 where rotation(&trace) == "re-authenticate" {
            asked += 1
            lose(&trace)
        }
        #expect((7...10).contains(asked))
    }

    @Test func `a success is asked again`() {
        var trace = connected()
        for _ in 0..<3 {
            _ = trace.refresh(.reauthenticate)
            #expect(trace.rotationCredentials().last == "re-authenticate")
            _ = trace.reauthenticated()
            _ = trace.refresh(.reauthenticate)
            _ = trace.rotationCredentials()
            trace.lost(.reason(.notAuthorized))
            _ = trace.entered(.connack)
            _ = trace.accepted()
        }
    }

    @Test func `on the next connection means that nothing happens to this one`() {
        var trace = connected()
        _ = trace.refresh(.onNextConnect)
        #expect(trace.rotationCredentials() == ["finish the rotation"])
        #expect(trace.machine.state.isConnected)
    }

    @Test func `a token that is not valid yet is waited for`() {
        var trace = connected()
        _ = trace.fire(.refresh)
        #expect(trace.rotationCredentials(usableIn: .seconds(3)) == ["validity timer 3.0 seconds"])
        #expect(trace.fire(.validity) == ["reauthentication timer 10.0 seconds", "re-authenticate"])
    }

    @Test func `so it is before a CONNECT`() {
        var trace = MachineTrace(hasProvider: true)
        _ = trace.start()
        #expect(trace.credentials(usableIn: .seconds(3)) == ["validity timer 3.0 seconds"])
        #expect(trace.fire(.validity).last == "dial")
    }

    @Test func `a shutdown in the middle of it ends the client`() {
        var trace = connected()
        _ = trace.fire(.refresh)
        _ = trace.rotationCredentials()
        #expect(trace.shutdown() == ["drain timer 5.0 seconds", "drain"])
        #expect(trace.reauthenticated().isEmpty)
        #expect(trace.drained().last == "send DISCONNECT")
    }

    @Test func `an issuer that wants to be left alone is, and one that failed for good is not asked again`() {
        var trace = connected()
        _ = trace.fire(.refresh)
        #expect(
            trace.rotationFailed(retryAfter: .seconds(90)) == [
                "[credentials failed: the issuer is down]", "refresh timer 90.0 seconds",
            ])
        _ = trace.fire(.refresh)
        #expect(trace.rotationFailed(isPermanent: true) == ["[credentials failed: the issuer is down]"])
        #expect(trace.timers[.refresh] == nil)
        #expect(trace.machine.state.isConnected)
    }
}

extension SessionStateMachine.State {
    fileprivate var isConnected: Bool { if case .connected = self { true } else { false } }
}

// SPDX-License-Identifier: Apache-2.0

import Testing
import Turns

@testable import Mosquitto

@Suite(.turn(.units)) struct `Rotation of the client certificate` {
    private func connected(
        hasProvider: Bool = false, refreshIn: Duration? = nil,
        _ change: (inout MachineTrace.Machine.Configuration) -> Void = { _ in }
    ) -> MachineTrace {
        .connected(hasProvider: hasProvider, refreshIn: refreshIn) {
            $0.hasClientCertificate = true
            change(&$0)
        }
    }

    /// From the request to the end of the old connection.
    private func rotated(_ trace: inout MachineTrace) -> [String] {
        _ = trace.rotateIdentity()
        _ = trace.drained()
        return trace.closed()
    }

    @Test func `drains, disconnects and connects again`() {
        var trace = connected()
        #expect(trace.rotateIdentity() == ["drain timer 5.0 seconds", "drain"])
        #expect(trace.drained() == ["close timer 5.0 seconds", "send DISCONNECT"])
        #expect(
            trace.closed() == [
                "tear down", "[attempt 1]", "attempt timer 30.0 seconds", "phase timer 10.0 seconds", "dial",
            ])
        trace.advance(by: .seconds(2))
        let accepted = trace.accepted()
        #expect(accepted.first == "[connected at attempt 1]")
        #expect(accepted.last == "establish")
        #expect(trace.timers.isEmpty)
    }

    @Test func `asks the credential provider like any other attempt`() {
        var trace = connected(hasProvider: true, refreshIn: .seconds(60))
        #expect(
            rotated(&trace) == [
                "tear down", "[attempt 1]", "ask the provider (connect)",
            ])
        #expect(trace.credentials().last == "dial")
        _ = trace.accepted(refreshIn: .seconds(50))
        #expect(trace.timers == [.refresh: .seconds(50)])
    }

    /// Everything that waits for the old connection is abandoned with it.
    @Test func `ends a rotation of credentials, whose answer comes too late`() {
        var trace = connected(hasProvider: true)
        _ = trace.refresh()
        #expect(trace.rotateIdentity() == ["drain timer 5.0 seconds", "drain"])
        #expect(Array(trace.timers.keys) == [.drain])
        #expect(trace.rotationCredentials() == [])
        #expect(trace.rotationFailed() == [])
        #expect(trace.drained() == ["close timer 5.0 seconds", "send DISCONNECT"])
        #expect(trace.rotationCredentials() == [])
        #expect(trace.closed().last == "ask the provider (connect)")
    }

    @Test func `ends a wait for credentials to become valid`() {
        var trace = connected(hasProvider: true)
        _ = trace.refresh()
        _ = trace.rotationCredentials(usableIn: .seconds(3))
        #expect(Array(trace.timers.keys) == [.validity])
        _ = trace.rotateIdentity()
        #expect(Array(trace.timers.keys) == [.drain])
        _ = trace.drained()
        _ = trace.closed()
        _ = trace.credentials()
        #expect(trace.accepted().last == "establish")
        #expect(trace.timers.isEmpty)
    }

    @Test func `ends a re-authentication, whose answer comes too late`() {
        var trace = connected(hasProvider: true) { $0.rotation = .reauthenticate }
        _ = trace.refresh(.reauthenticate)
        _ = trace.rotationCredentials()
        _ = trace.rotateIdentity()
        #expect(Array(trace.timers.keys) == [.drain])
        #expect(trace.reauthenticated() == [])
        #expect(trace.reauthenticationFailed() == [])
        // The broker's answer to the AUTH packet now ends a connection that is being closed anyway.
        #expect(trace.lost(.reason(.notAuthorized)).contains { $0.hasPrefix("[disconnected") })
    }

    @Test func `is followed by rotations of credentials as before`() {
        var trace = connected(hasProvider: true)
        _ = rotated(&trace)
        _ = trace.credentials()
        _ = trace.accepted()
        #expect(trace.refresh() == ["ask the provider (rotation)"])
        #expect(trace.rotationCredentials() == ["drain timer 5.0 seconds", "drain"])
        _ = trace.drained()
        #expect(trace.closed().last == "dial", "with the credentials at hand")
    }

    @Test func `disconnects from what does not drain, and does not wait for a broker that does not close`() {
        var trace = connected()
        _ = trace.rotateIdentity()
        #expect(trace.fire(.drain) == ["close timer 5.0 seconds", "send DISCONNECT"])
        #expect(trace.drained() == [])
        #expect(trace.fire(.close).last == "dial")
        #expect(trace.closed() == [])
    }

    @Test func `of a connection that is lost meanwhile is done by the next attempt`() {
        var trace = connected()
        _ = trace.rotateIdentity()
        #expect(trace.lost() == ["tear down", "[disconnected: closed, retry standard]", "retry timer 1.0 seconds"])
        #expect(trace.fire(.retry).last == "dial")
        var disconnecting = connected()
        _ = disconnecting.rotateIdentity()
        _ = disconnecting.drained()
        #expect(disconnecting.lost().last == "dial")
    }

    @Test func `with a certificate that the broker refuses is tried again, and once more without a delay`() {
        var trace = connected()
        _ = rotated(&trace)
        var refusal = MQTTError(.tlsAlert, "certificate_expired")
        refusal.tls = MQTTTLSFailure(.clientCertificate)
        _ = trace.entered(.connect)
        _ = trace.entered(.tlsHandshake)
        let first = trace.failed(refusal)
        #expect(
            first.prefix(2) == [
                "tear down", "[attempt 1 failed in tlsHandshake: tlsAlert, retry with fresh credentials]",
            ])
        #expect(first.last == "dial")
        _ = trace.entered(.connect)
        _ = trace.entered(.tlsHandshake)
        #expect(trace.failed(refusal).last?.hasPrefix("retry timer") == true)
    }

    @Test func `is given up for a shutdown`() {
        var trace = connected()
        _ = trace.rotateIdentity()
        #expect(trace.shutdown() == ["drain timer 5.0 seconds", "drain"])
        _ = trace.drained()
        #expect(trace.closed() == ["tear down", "[stopped]", "finish"])
        var disconnecting = connected()
        _ = disconnecting.rotateIdentity()
        _ = disconnecting.drained()
        _ = disconnecting.shutdown()
        #expect(disconnecting.closed() == ["tear down", "[stopped]", "finish"])
    }

    @Test func `needs a connection`() {
        var trace = MachineTrace(hasProvider: true)
        #expect(trace.rotateIdentity() == [])
        _ = trace.start()
        #expect(trace.rotateIdentity() == [])
        _ = trace.credentials()
        #expect(trace.rotateIdentity() == [])
        trace.failed(.refusedConnection)
        #expect(trace.rotateIdentity() == [])
        trace.fire(.retry)
        _ = trace.credentials()
        _ = trace.accepted()
        #expect(trace.rotateIdentity() == ["drain timer 5.0 seconds", "drain"])
        #expect(trace.rotateIdentity() == [])
        _ = trace.drained()
        #expect(trace.rotateIdentity() == [])
        _ = trace.shutdown()
        _ = trace.closed()
        #expect(trace.rotateIdentity() == [])
    }
}

// SPDX-License-Identifier: Apache-2.0

import Testing
import Turns

@testable import Mosquitto

@Suite(.turn(.units)) struct `A failure that repeats` {
    typealias Decision = MQTTRetryPolicy.Decision

    private static let fatal: [MQTTReasonCode] = [
        .malformedPacket, .protocolError, .topicFilterInvalid, .topicNameInvalid, .packetTooLarge,
    ]

    private func disconnect(_ code: MQTTReasonCode) -> MQTTError { .disconnect(code, reference: nil) }

    // MARK: DISCONNECT

    @Test(arguments: fatal)
    func `the second DISCONNECT in a row that blames the client ends it`(code: MQTTReasonCode) {
        var trace = MachineTrace.connected()
        #expect(trace.loses(disconnect(code)) == .retry(.standard))
        trace.reconnect()
        #expect(trace.loses(disconnect(code)) == .stop)
        #expect(trace.finished?.reasonCode == code)
    }

    @Test(arguments: fatal)
    func `a connection that lasted makes such a DISCONNECT the first again`(code: MQTTReasonCode) {
        var trace = MachineTrace.connected()
        for _ in 0..<5 {
            #expect(trace.loses(disconnect(code), after: .seconds(30)) == .retry(.standard))
            trace.reconnect()
        }
        #expect(trace.loses(disconnect(code), after: .milliseconds(29_999)) == .stop)
    }

    @Test(arguments: fatal)
    func `another failure in between makes such a DISCONNECT the first again`(code: MQTTReasonCode) {
        var trace = MachineTrace.connected()
        for _ in 0..<5 {
            #expect(trace.loses(disconnect(code)) == .retry(.standard))
            trace.waitForAttempt()
            #expect(trace.fails(.refusedConnection, in: .connect) == .retry(.standard))
            trace.reconnect()
        }
    }

    @Test(arguments: fatal)
    func `a DISCONNECT that an operation may have caused never ends the client (core 7)`(code: MQTTReasonCode) {
        var trace = MachineTrace.connected()
        for _ in 0..<5 {
            #expect(trace.loses(disconnect(code), isOperationSuspected: true) == .retry(.standard))
            trace.reconnect()
        }
        #expect(trace.loses(disconnect(code)) == .stop)
    }

    @Test func `0x87 that an operation may have caused is answered once with fresh credentials (core 7)`() {
        var trace = MachineTrace.connected(hasProvider: true)
        #expect(trace.loses(disconnect(.notAuthorized), isOperationSuspected: true) == .retryWithFreshCredentials)
        trace.connectAgain()
        for _ in 0..<3 {
            #expect(trace.loses(disconnect(.notAuthorized), isOperationSuspected: true) == .retry(.standard))
            trace.waitForAttempt()
            // The provider is not told that its credentials were refused.
            #expect(trace.purpose == .connect)
            trace.connectAgain()
        }
        #expect(trace.loses(disconnect(.notAuthorized)) == .retry(.authentication))
    }

    @Test func `two different DISCONNECTs are no repetition`() {
        var trace = MachineTrace.connected()
        #expect(trace.loses(disconnect(.malformedPacket)) == .retry(.standard))
        trace.reconnect()
        #expect(trace.loses(disconnect(.protocolError)) == .retry(.standard))
    }

    @Test func `a code in a CONNACK and in a DISCONNECT are no repetition`() {
        var history = FailureHistory()
        history.record(.refusal(.v5(.quotaExceeded)))
        history.record(disconnect(.quotaExceeded))
        #expect(history.repetitions == 1)
        history.record(disconnect(.quotaExceeded))
        #expect(history.repetitions == 2)
    }

    @Test func `a normal DISCONNECT is slow when it is repeated`() {
        var trace = MachineTrace.connected()
        #expect(trace.loses(disconnect(.success)) == .retry(.standard))
        for _ in 0..<5 {
            trace.reconnect()
            #expect(trace.loses(disconnect(.success)) == .retry(.slow))
        }
        trace.reconnect()
        #expect(trace.loses(disconnect(.success), after: .seconds(30)) == .retry(.standard))
    }

    @Test func `the closure is told how often`() {
        final class Log: @unchecked Sendable { var repetitions: [Int] = [] }
        let log = Log()
        var trace = MachineTrace {
            $0.retry.decide = {
                log.repetitions.append($0.repetitions)
                return .retry(.standard)
            }
        }
        _ = trace.start()
        for phase in [MQTTError.Phase.connect, .connect, .tlsHandshake, .connect] {
            _ = trace.fails(.refusedConnection, in: phase)
            trace.waitForAttempt()
        }
        _ = trace.fails(.refusedConnection, in: .connect)
        trace.reconnect()
        _ = trace.loses(after: .seconds(1))
        trace.reconnect()
        _ = trace.loses(after: .seconds(1))
        trace.reconnect()
        _ = trace.loses(after: .seconds(30))
        #expect(log.repetitions == [1, 2, 1, 1, 2, 1, 2, 1])
    }

    // MARK: Names

    @Test func `a name that does not resolve is slow after the fifth time in a row`() {
        var trace = MachineTrace()
        _ = trace.start()
        for attempt in 1...8 {
            #expect(trace.fails(MQTTError(.dns, "no"), in: .resolve) == .retry(attempt > 5 ? .slow : .standard))
            trace.waitForAttempt()
        }
        #expect(trace.fails(.refusedConnection, in: .connect) == .retry(.standard))
        trace.waitForAttempt()
        #expect(trace.fails(MQTTError(.dns, "no"), in: .resolve) == .retry(.standard))
    }

    // MARK: Closed before CONNACK

    private let closed = MQTTError(.closed, "closed")

    @Test func `the third close before CONNACK in a row asks for other credentials, once`() {
        var trace = MachineTrace(hasProvider: true)
        _ = trace.start()
        for attempt in 1...9 {
            #expect(trace.fails(closed) == (attempt == 3 ? .retryWithFreshCredentials : .retry(.standard)))
            if attempt == 3 { #expect(trace.askedFor != nil) }
            trace.waitForAttempt()
        }
    }

    @Test func `closes before CONNACK with another failure in between are not in a row`() {
        var trace = MachineTrace(hasProvider: true)
        _ = trace.start()
        for _ in 0..<4 {
            for error in [closed, closed, MQTTError(.timeout, "no CONNACK")] {
                #expect(trace.fails(error) == .retry(.standard))
                trace.waitForAttempt()
            }
        }
    }

    @Test func `without a provider closes before CONNACK are only retried`() {
        var trace = MachineTrace()
        _ = trace.start()
        for _ in 0..<9 {
            #expect(trace.fails(closed) == .retry(.standard))
            trace.waitForAttempt()
        }
    }

    // MARK: Client certificates

    private var refusedCertificate: MQTTError {
        var error = MQTTError(.tlsAlert, "expired")
        error.tls = MQTTTLSFailure(
            .clientCertificate, alert: .init(received: true, code: 45, name: "certificate expired"))
        return error
    }

    @Test func `a refused client certificate is read again at once, and then slowly`() {
        var trace = MachineTrace { $0.hasClientCertificate = true }
        _ = trace.start()
        #expect(trace.fails(refusedCertificate, in: .tlsHandshake) == .retryWithFreshCredentials)
        #expect(trace.dialed != nil)
        for _ in 0..<4 {
            #expect(trace.fails(refusedCertificate, in: .tlsHandshake) == .retry(.slow))
            #expect(trace.dialed == nil)
            trace.waitForAttempt()
        }
    }

    @Test func `a connection that lasted lets the client certificate be read again at once`() {
        var trace = MachineTrace { $0.hasClientCertificate = true }
        _ = trace.start()
        #expect(trace.fails(refusedCertificate, in: .tlsHandshake) == .retryWithFreshCredentials)
        trace.connectAgain()
        _ = trace.loses(after: .seconds(5))
        trace.waitForAttempt()
        #expect(trace.fails(refusedCertificate, in: .tlsHandshake) == .retryWithFreshCredentials)
    }

    @Test func `a refused client certificate is no refusal of the token`() {
        var trace = MachineTrace(hasProvider: true) { $0.hasClientCertificate = true }
        _ = trace.start()
        _ = trace.credentials()
        _ = trace.entered(.tlsHandshake)
        #expect(trace.failed(refusedCertificate).last == "ask the provider (connect)")
        #expect(trace.credentials(unchanged: true).last == "dial")
    }

    @Test func `a close before CONNACK has the client certificate read again at once, and is then retried`() {
        var trace = MachineTrace { $0.hasClientCertificate = true }
        _ = trace.start()
        #expect(trace.fails(closed) == .retryWithFreshCredentials)
        for _ in 0..<5 {
            #expect(trace.fails(closed) == .retry(.standard))
            trace.waitForAttempt()
        }
    }

    // MARK: libmosquitto

    @Test(arguments: [Int32(3), 18])
    func `what libmosquitto refuses to send ends the client`(code: Int32) {
        var trace = MachineTrace()
        _ = trace.start()
        var error = MQTTError(.library, "invalid")
        error.libraryCode = code
        #expect(trace.fails(error, in: .connect) == .stop)
        #expect(trace.finished?.libraryCode == code)
    }

    @Test func `a lack of memory is waited out`() {
        var trace = MachineTrace()
        _ = trace.start()
        var error = MQTTError(.library, "out of memory")
        error.libraryCode = 1
        for _ in 0..<9 {
            #expect(trace.fails(error, in: .connect) == .retry(.slow))
            trace.waitForAttempt()
        }
    }
}

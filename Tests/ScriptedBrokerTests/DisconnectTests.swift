// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Testing
import Turns

/// A broker's DISCONNECT, and the reaction of a client with a credential provider to the first one.
struct Dismissal: Sendable, CustomTestStringConvertible {
    let code: UInt8
    let decision: MQTTRetryPolicy.Decision

    var testDescription: String { "code 0x\(String(code, radix: 16))" }

    var errorCode: MQTTError.Code {
        switch code {
        case 0x87: .notAuthorized
        case 0x8E: .sessionTakenOver
        default: code < 0x80 ? .closed : .refused
        }
    }

    static let all: [Dismissal] =
        [
            0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x8B, 0x8D, 0x8F, 0x90, 0x93, 0x94, 0x95, 0x99, 0x9A, 0x9B, 0x9E, 0xA1,
            0xA2,
        ].map { Dismissal(code: $0, decision: .retry(.standard)) }
        // The redirections are among these, since the default policy follows none; 0xF0 is of a later version.
        + [0x89, 0x96, 0x97, 0x98, 0x9C, 0x9D, 0x9F, 0xF0].map { Dismissal(code: $0, decision: .retry(.slow)) }
        + [0x87, 0xA0].map { Dismissal(code: $0, decision: .retryWithFreshCredentials) }
        + [0x8C, 0x8E].map { Dismissal(code: $0, decision: .stop) }
}

@Suite("Each DISCONNECT of a broker leads to its decision", .turn(.scripted))
struct DisconnectTests {
    @Test(arguments: Dismissal.all, [true, false])
    func `a DISCONNECT is named, decided once, and survived or final`(dismissal: Dismissal, isTLS: Bool) async throws {
        let broker = try await ScriptedBroker.start(
            tls: isTLS ? TestTLS.identity : nil,
            script: [.serveThenDisconnect(reasonCode: dismissal.code, after: .milliseconds(10)), .serve])
        var configuration = testConfiguration(port: broker.port)
        if !isTLS { configuration.tls = nil }
        configuration.credentials = RecordingProvider()
        try await withRunningClient(configuration) { client, log in
            if dismissal.decision == .stop {
                #expect(await log.wait { $0.stopped != nil })
                #expect(await log.terminalError?.code == dismissal.errorCode)
                #expect(broker.connects.count == 1)
            } else {
                #expect(await log.wait { $0.connections.count == 2 })
            }
            let lost = await log.disconnections
            try #require(lost.count == 1)
            #expect(lost[0].error.reasonCode == MQTTReasonCode(rawValue: dismissal.code))
            #expect(lost[0].error.rawReasonCode == dismissal.code)
            #expect(lost[0].error.code == dismissal.errorCode)
            #expect(lost[0].error.phase == .connected)
            #expect(lost[0].decision == dismissal.decision)
            #expect(await log.failures.isEmpty)
            #expect(await log.violation == nil)
        }
        await broker.stop()
    }

    @Test(arguments: [UInt8(0x81), 0x82, 0x8F, 0x90, 0x95])
    func `what is a mistake the second time stops the client`(code: UInt8) async throws {
        let broker = try await ScriptedBroker.start(
            tls: TestTLS.identity, script: [.serveThenDisconnect(reasonCode: code, after: .milliseconds(10))])
        let (error, log) = try await runUntilStopped(testConfiguration(port: broker.port))
        #expect(error?.rawReasonCode == code)
        #expect(await log.wait { $0.disconnections.map(\.decision) == [.retry(.standard), .stop] })
        #expect(broker.connects.count == 2)
        #expect(await log.violation == nil)
        await broker.stop()
    }

    @Test func `a broker that says a normal goodbye each time is backed away from`() async throws {
        let goodbye = ConnectionScript.serveThenDisconnect(reasonCode: 0, after: .milliseconds(10))
        let broker = try await ScriptedBroker.start(tls: TestTLS.identity, script: [goodbye, goodbye, .serve])
        try await withRunningClient(testConfiguration(port: broker.port)) { _, log in
            #expect(await log.wait { $0.connections.count == 3 })
            #expect(await log.wait { $0.disconnections.map(\.decision) == [.retry(.standard), .retry(.slow)] })
        }
        await broker.stop()
    }

    @Test func `a refused token that ended the connection is replaced before the next one`() async throws {
        let broker = try await ScriptedBroker.start(
            tls: TestTLS.identity, script: [.serveThenDisconnect(reasonCode: 0x87, after: .milliseconds(10)), .serve])
        var configuration = testConfiguration(port: broker.port)
        let provider = RecordingProvider()
        configuration.credentials = provider
        try await withRunningClient(configuration) { _, log in
            #expect(await log.wait { $0.connections.count == 2 })
            #expect(await provider.purposes == [.connect, .rejected])
            #expect(broker.connects.map(\.password) == ["token-1", "token-2"])
        }
        await broker.stop()
    }
}

// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Testing
import Turns

/// A CONNACK that refuses, and the reaction of a client with a credential provider.
struct Refusal: Sendable, CustomTestStringConvertible {
    let version: MQTTVersion
    let code: UInt8
    let meaning: MQTTReasonCode
    let decision: MQTTRetryPolicy.Decision

    var testDescription: String { "\(version == .v5_0 ? "5.0" : "3.1.1") code 0x\(String(code, radix: 16))" }

    var errorCode: MQTTError.Code {
        [.badUserNameOrPassword, .notAuthorized].contains(meaning) ? .notAuthorized : .refused
    }

    init(_ version: MQTTVersion, _ code: UInt8, _ decision: MQTTRetryPolicy.Decision, meaning: MQTTReasonCode? = nil) {
        self.version = version
        self.code = code
        self.decision = decision
        self.meaning = meaning ?? MQTTReasonCode(rawValue: code)
    }

    static let version3: [Refusal] = [
        Refusal(.v3_1_1, 1, .stop, meaning: .unsupportedProtocolVersion),
        Refusal(.v3_1_1, 2, .stop, meaning: .clientIdentifierNotValid),
        Refusal(.v3_1_1, 3, .retry(.standard), meaning: .serverUnavailable),
        Refusal(.v3_1_1, 4, .retryWithFreshCredentials, meaning: .badUserNameOrPassword),
        Refusal(.v3_1_1, 5, .retryWithFreshCredentials, meaning: .notAuthorized),
        // Reserved: a proxy, perhaps.
        Refusal(.v3_1_1, 6, .retry(.slow)),
        Refusal(.v3_1_1, 127, .retry(.slow)),
        // A code of MQTT 5.0 in the packet of MQTT 3.1.1, which brokers do send.
        Refusal(.v3_1_1, 0x87, .retryWithFreshCredentials),
        Refusal(.v3_1_1, 0x8A, .stop),
    ]

    static let version5: [Refusal] =
        [0x81, 0x82, 0x84, 0x85, 0x8A, 0x8C, 0x90, 0x95, 0x99, 0x9A, 0x9B].map { Refusal(.v5_0, $0, .stop) }
        + [0x80, 0x88].map { Refusal(.v5_0, $0, .retry(.standard)) }
        // The redirections are among these, since the default policy follows none; 0xFE is of a later version.
        + [0x83, 0x89, 0x97, 0x9C, 0x9D, 0xFE].map { Refusal(.v5_0, $0, .retry(.slow)) }
        + [0x86, 0x87].map { Refusal(.v5_0, $0, .retryWithFreshCredentials) }
        + [Refusal(.v5_0, 0x9F, .retry(.rateLimited))]
}

@Suite("Each CONNACK that refuses leads to its decision", .turn(.scripted))
struct RefusalTests {
    @Test(arguments: Refusal.version3 + Refusal.version5, [true, false])
    func `a refusal is named, decided once, and survived or final`(refusal: Refusal, isTLS: Bool) async throws {
        let broker = try await ScriptedBroker.start(
            tls: isTLS ? TestTLS.identity : nil, script: [.refuse(code: refusal.code, close: true), .serve])
        var configuration = testConfiguration(port: broker.port, version: refusal.version)
        if !isTLS { configuration.tls = nil }
        let provider = RecordingProvider()
        configuration.credentials = provider
        try await withRunningClient(configuration) { client, log in
            if refusal.decision == .stop {
                #expect(await log.wait { $0.stopped != nil })
                #expect(await log.terminalError?.rawReasonCode == refusal.code)
                #expect(broker.connects.count == 1)
            } else {
                try await client.waitUntilConnected(timeout: .seconds(30))
                #expect(await log.wait { !$0.connections.isEmpty })
                #expect(broker.connects.map(\.password) == ["token-1", "token-2"])
            }
            let failures = await log.failures
            try #require(failures.count == 1)
            #expect(failures[0].error.code == refusal.errorCode)
            #expect(failures[0].error.reasonCode == refusal.meaning)
            #expect(failures[0].error.rawReasonCode == refusal.code)
            #expect(failures[0].error.phase == .connack)
            #expect(failures[0].decision == refusal.decision)
            #expect((failures[0].retryIn == nil) == (refusal.decision == .stop))
            let isFresh = refusal.decision == .retryWithFreshCredentials
            #expect(await provider.purposes.last == (isFresh ? .rejected : .connect))
            #expect(await log.violation == nil)
        }
        await broker.stop()
    }

    @Test(arguments: [Refusal](Refusal.version5.filter { $0.decision == .retryWithFreshCredentials }))
    func `without a provider, refused credentials are tried again in the tier that spares the broker`(refusal: Refusal)
        async throws
    {
        let broker = try await ScriptedBroker.start(
            tls: TestTLS.identity, script: [.refuse(code: refusal.code, close: true), .serve])
        try await withRunningClient(testConfiguration(port: broker.port)) { client, log in
            try await client.waitUntilConnected(timeout: .seconds(30))
            let failure = try #require(await log.failures.first)
            #expect(failure.decision == .retry(.authentication))
            #expect(failure.retryIn == .milliseconds(200))
        }
        await broker.stop()
    }

    @Test func `fresh credentials that are refused too wait in the tier that spares the issuer`() async throws {
        let broker = try await ScriptedBroker.start(
            tls: TestTLS.identity,
            script: [.refuse(code: 0x87, close: true), .refuse(code: 0x87, close: true), .serve])
        var configuration = testConfiguration(port: broker.port)
        let provider = RecordingProvider()
        configuration.credentials = provider
        try await withRunningClient(configuration) { client, log in
            try await client.waitUntilConnected(timeout: .seconds(30))
            #expect(await log.failures.map(\.decision) == [.retryWithFreshCredentials, .retry(.authentication)])
            #expect(await log.wait { $0.failures.map(\.retryIn) == [.zero, .milliseconds(200)] })
            #expect(await provider.purposes == [.connect, .rejected, .rejected])
        }
        await broker.stop()
    }
}

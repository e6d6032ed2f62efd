// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Testing

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

#if os(Linux)
import Glibc

/// The short form of `scripts/soak connects`, in a process of its own like the others.
extension LeakTests {
    @Test func `200 connections with the faults of a day leave no thread, descriptor, memory or OpenSSL error behind`()
        async
    {
        await #expect(processExitsWith: .success) {
            for version in [MQTTTLSConfiguration.Version.v1_2, .v1_3] {
                let day = try await DayOfConnections(version)
                // Pools fill, caches warm up; then nothing may grow.
                try await day.connect(40)
                let before = try await ProcessResources.settled()
                try await day.connect(100)
                try await ProcessResources.expectReturn(to: before, "connections over \(version)")
                await day.end()
            }
        }
    }
}

/// A client whose connections end in ways that its seed chooses.
private actor DayOfConnections {
    private enum Happening: CaseIterable {
        case rotatesCredentials, rotatesIdentity, brokerCloses, brokerResets, handshakeIsReset, brokerClosesAfterConnect
        case passwordIsRefused, brokerHasExpired, certificateIsRefused, keyIsBroken
    }

    private let stranger: TestCertificateAuthority
    private let folder: TemporaryDirectory
    private let broker: ScriptedBroker
    private let client: MQTTClient
    private let log: EventLog
    private let probe = LoopProbe(.shared)
    private var numbers = SplitMix(state: 5)

    init(_ version: MQTTTLSConfiguration.Version) async throws {
        stranger = try TestCertificateAuthority()
        folder = try TemporaryDirectory()
        broker = try await ScriptedBroker.start(
            tls: TestTLS.identity, clientAuthority: TestTLS.authority.certificatePEM)
        var configuration = testConfiguration(port: broker.port)
        configuration.tls?.identity = .files(
            certificate: folder.path + "/client.pem", key: folder.path + "/client.key")
        configuration.tls?.minimumVersion = version
        configuration.tls?.maximumVersion = version
        configuration.credentials = RecordingProvider()
        configuration.retry.baseDelay = .milliseconds(2)
        configuration.retry.maximumDelay = .milliseconds(20)
        configuration.retry.minimumDelay = .milliseconds(1)
        configuration.retry.minimumAuthenticationDelay = .milliseconds(1)
        configuration.retry.resetAfter = .milliseconds(1)
        client = MQTTClient(configuration, logger: quiet)
        log = EventLog(client)
        try show(TestTLS.authority)
        let events = client.events()
        Task { await watch(events) }
        try await client.start()
        try await client.waitUntilConnected(timeout: .seconds(30))
    }

    func end() async {
        try? await client.shutdown()
        await broker.stop()
    }

    /// Checks right after each failure: the next attempt clears OpenSSL's queue before it begins.
    private func watch(_ events: MQTTConnectionEvents) async {
        for await event in events {
            switch event.kind {
            case .attemptFailed, .disconnected, .connected:
                if let error = await probe.oldestOpenSSLError { fatalError("left by \(event.kind): \(error)") }
            default: break
            }
        }
    }

    func connect(_ count: Int) async throws {
        for number in 0..<count {
            if number % 20 == 0 { try show(TestTLS.authority) }
            for qos in MQTTQoS.allCases { try await client.publish("x", to: "day", qos: qos) }
            let connections = await log.connections.count
            let happening = Happening.allCases.randomElement(using: &numbers) ?? .brokerCloses
            try await perform(happening)
            let isBack = await log.wait { [client] in $0.connections.count > connections && client.state.isConnected }
            if !isBack { fatalError("no connection after \(happening): \(client.state)") }
            if let error = OpenSSLErrors.oldest { fatalError("left on Swift's pool by \(happening): \(error)") }
        }
    }

    private func perform(_ happening: Happening) async throws {
        switch happening {
        case .rotatesCredentials: try await client.rotateCredentials()
        case .rotatesIdentity: try await client.rotateIdentity()
        case .brokerCloses: broker.dropAll()
        case .brokerResets: broker.resetAll()
        case .handshakeIsReset: await fail([.resetMidHandshake, .serve])
        case .brokerClosesAfterConnect: await fail([.closeAfterConnect, .serve])
        case .passwordIsRefused: await fail([.refuse(code: 0x87, close: true), .serve])
        case .brokerHasExpired:
            try broker.replaceIdentity(
                TestTLS.authority.serverIdentity(
                    notBefore: Date(timeIntervalSinceNow: -7_200), notAfter: Date(timeIntervalSinceNow: -3_600)))
            await fail()
            try broker.replaceIdentity(TestTLS.identity)
        case .certificateIsRefused:
            try show(stranger)
            await fail()
            try show(TestTLS.authority)
        case .keyIsBroken:
            try folder.write("-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n", to: "client.key")
            await fail()
            try show(TestTLS.authority)
        }
    }

    /// Ends the connection, and lets an attempt fail.
    private func fail(_ script: [ConnectionScript] = [.serve]) async {
        let failures = await log.failures.count
        broker.setScript(script)
        broker.dropAll()
        if await !log.wait(until: { $0.failures.count > failures }) { fatalError("no attempt failed: \(client.state)") }
    }

    /// Writes a new key and certificate each time.
    private func show(_ authority: TestCertificateAuthority) throws {
        let identity = try authority.clientIdentity(commonName: "day")
        try folder.write(identity.certificatePEM, to: "client.pem")
        try folder.write(identity.privateKeyPEM, to: "client.key")
    }
}

private struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

extension LoopProbe {
    /// In the queue of the loop's thread, between two of its turns.
    fileprivate var oldestOpenSSLError: UInt? { OpenSSLErrors.oldest }
}

/// The error queue of this thread, in the OpenSSL that the library uses; its C is imported nowhere else.
private enum OpenSSLErrors {
    static var oldest: UInt? {
        guard let symbol = dlsym(nil, "ERR_peek_error") else { fatalError("this process has no OpenSSL") }
        let error = unsafeBitCast(symbol, to: (@convention(c) () -> UInt).self)()
        return error == 0 ? nil : error
    }
}
#endif

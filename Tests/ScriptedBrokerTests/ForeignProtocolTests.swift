// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Testing
import Turns

@Suite("A port of another program is named (case 12)", .turn(.scripted), .timeLimit(.minutes(2)))
struct ForeignProtocolTests {
    private func failure(
        _ broker: ScriptedBroker, tls: MQTTTLSConfiguration?
    ) async throws -> MQTTError {
        let error = try await withRunningClient(testConfiguration(port: broker.port, tls: tls)) { _, log in
            #expect(await log.wait { !$0.failures.isEmpty })
            return try #require(await log.failures.first).error
        }
        await broker.stop()
        return error
    }

    private static let greetings = [
        ("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", "HTTP"), ("SSH-2.0-OpenSSH_9.2\r\n", "SSH"),
        ("220 smtp.example ESMTP ready\r\n", "SMTP"),
    ]

    @Test(arguments: greetings)
    func `where MQTT is expected`(greeting: String, name: String) async throws {
        let broker = try await ScriptedBroker.start(script: [.raw(Array(greeting.utf8))])
        let error = try await failure(broker, tls: nil)
        #expect(error.code == .protocolViolation)
        #expect(error.message.hasPrefix("the server at this port speaks \(name)"))
        #expect(error.message.contains("check the port"))
    }

    @Test(arguments: greetings)
    func `where TLS is expected`(greeting: String, name: String) async throws {
        let broker = try await ScriptedBroker.start(script: [.raw(Array(greeting.utf8))])
        let error = try await failure(broker, tls: .init(trust: .pem(TestTLS.authority.certificatePEM)))
        #expect(error.code == .tlsProtocol)
        #expect(error.tls?.kind == .notTLS)
        #expect(error.message.hasPrefix("what answers at this port speaks \(name)"))
    }

    @Test(arguments: greetings)
    func `within TLS`(greeting: String, name: String) async throws {
        let broker = try await ScriptedBroker.start(
            tls: TestTLS.identity, script: [.reply(Array(greeting.utf8), close: false)])
        let error = try await failure(broker, tls: .init(trust: .pem(TestTLS.authority.certificatePEM)))
        #expect(error.code == .protocolViolation)
        #expect(error.message.hasPrefix("the server at this port speaks \(name)"))
    }

    @Test func `TLS where plain MQTT is spoken`() async throws {
        let broker = try await ScriptedBroker.start(tls: TestTLS.identity)
        let error = try await failure(broker, tls: nil)
        #expect(error.tls?.kind == .tlsRequired || error.code == .closed)
        #expect(error.message.contains("TLS"))
    }
}

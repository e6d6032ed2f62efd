// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Testing
import Turns

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Tests of the messages that a user reads after an error in the credentials.
@Suite("Refused credentials say what to do (newcomer D6)", .turn(.scripted), .timeLimit(.minutes(1)))
struct RefusalTextTests {
    private func withRefusals(
        _ version: MQTTVersion, code: UInt8, _ credentials: (any MQTTCredentialProvider)?, count: Int
    ) async throws -> [String] {
        let broker = try await ScriptedBroker.start(script: [.refuse(code: code, close: true)])
        var configuration = testConfiguration(port: broker.port, version: version, tls: nil)
        configuration.credentials = credentials
        let messages = try await withRunningClient(configuration) { _, log in
            #expect(await log.wait { $0.failures.count >= count })
            return await log.failures.map(\.error.message)
        }
        await broker.stop()
        return messages
    }

    @Test func `a password that never changes is wrong at the broker`() async throws {
        let messages = try await withRefusals(
            .v5_0, code: 0x86, .static(username: "u", password: "s3cret"), count: 2)
        #expect(messages[1].hasPrefix("the user name or password is wrong at the broker"))
        #expect(!messages.joined().contains("s3cret"))
    }

    @Test(arguments: [(MQTTVersion.v5_0, 0x87), (.v3_1_1, 5), (.v3_1_1, 4)] as [(MQTTVersion, UInt8)])
    func `without credentials it says that there are none`(version: MQTTVersion, code: UInt8) async throws {
        let messages = try await withRefusals(version, code: code, nil, count: 1)
        #expect(messages[0].hasSuffix("no credentials are configured"))
    }

    @Test func `with credentials it does not`() async throws {
        let messages = try await withRefusals(.v5_0, code: 0x87, .static(username: "u", password: "p"), count: 1)
        #expect(!messages[0].contains("no credentials"))
    }
}

// SPDX-License-Identifier: Apache-2.0

import MosquittoTesting
import Testing
import Turns

@Suite(.turn(.tools)) struct BrokerAuthenticationTests {
    @Test(arguments: [UInt8(4), 5])
    func `A token is refused when it expired, and a live client ends with its token`(level: UInt8) async throws {
        let issuer = TestTokenIssuer()
        let broker = try await ScriptedBroker.start(authentication: .token(issuer, kickOnExpiry: true))

        let refused = try RawClient(port: broker.port)
        refused.send(Bytes.connect("dev1", level: level, password: issuer.token(lifetime: .seconds(-1))))
        let refusal: [UInt8] = level == 5 ? [0x20, 3, 0, 0x87, 0] : [0x20, 2, 0, 5]
        #expect(refused.readToEnd().bytes == refusal)

        let lifetime = Duration.seconds(3)
        let client = try RawClient(port: broker.port)
        let start = ContinuousClock.now
        client.send(Bytes.connect("dev1", level: level, password: issuer.token(lifetime: lifetime)))
        let seen = client.readToEnd()
        #expect(start.duration(to: .now) > .milliseconds(2_990))
        #expect(seen.bytes == (level == 5 ? [0x20, 3, 0, 0, 0, 0xE0, 2, 0x87, 0] : [0x20, 2, 0, 0]))
        #expect(seen.end == .eof)
        await broker.stop()
    }

    @Test func `A password is compared with its user name`() async throws {
        let broker = try await ScriptedBroker.start(authentication: .password("user", "right"))
        for (password, code) in [("right", UInt8(0)), ("wrong", 5)] {
            let client = try RawClient(port: broker.port)
            client.send(Bytes.connect("dev1", password: password))
            #expect(client.read(4) == [0x20, 2, 0, code])
        }
        #expect(broker.connects.map(\.password) == ["right", "wrong"])
        await broker.stop()
    }
}

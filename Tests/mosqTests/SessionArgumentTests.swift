// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Mosquitto
import Testing
import Turns

@testable import mosq

@Suite("Session arguments", .turn(.arguments))
struct SessionArgumentTests {
    private static let forever = MQTTSession.persistent(expiry: .seconds(UInt32.max))

    private func session(_ arguments: [String]) throws -> MQTTSession {
        try ConnectionOptions.read(arguments).configuration(.subscribe).session
    }

    @Test(arguments: [
        ([], MQTTSession.clean), (["-x", "10"], .clean), (["-c", "-i", "a"], forever),
        (["-c", "-i", "a", "-x", "10"], forever),
    ])
    func `MQTT 3 1 1 has no expiry`(arguments: [String], session: MQTTSession) throws {
        #expect(try self.session(arguments) == session)
    }

    @Test(arguments: [
        ([], MQTTSession.clean), (["-x", "0"], .clean), (["-c", "-i", "a"], forever),
        (["-c", "-i", "a", "-x", "-1"], forever), (["-c", "-i", "a", "-x", "∞"], forever),
        (["-c", "-i", "a", "-x", "4294967295"], forever),
        (["-c", "-i", "a", "-x", "10"], .persistent(expiry: .seconds(10))),
        (["-c", "-x", "0x10"], .persistent(expiry: .seconds(16))),
    ])
    func `MQTT 5 0 has one`(arguments: [String], session: MQTTSession) throws {
        #expect(try self.session(["-V", "mqttv5"] + arguments) == session)
    }

    @Test func `a session that is not resumed may be left for a later client`() throws {
        let configuration = try ConnectionOptions.read(["-V", "5", "-x", "10"]).configuration(.subscribe)
        #expect(configuration.session == .clean)
        #expect(configuration.connect.cleanSessionExpiry == .seconds(10))
    }

    @Test func `a session that is resumed may end with the command`() throws {
        let options = try ConnectionOptions.read(["-V", "5", "-c", "-i", "a", "-x", "0"])
        #expect(try options.configuration(.subscribe).session == .persistent(expiry: .seconds(1)))
        #expect(try options.farewell(isEarly: false).sessionExpiry == .zero)
        #expect(try ConnectionOptions.read(["-V", "5"]).farewell(isEarly: false) == MQTTDisconnect())
    }

    @Test func `only MQTT 5 0 says why a command leaves early`() throws {
        #expect(
            try ConnectionOptions.read(["-V", "5"]).farewell(isEarly: true).reasonCode == .disconnectWithWillMessage)
        #expect(try ConnectionOptions.read([]).farewell(isEarly: true) == MQTTDisconnect())
    }

    @Test(arguments: [
        ["-c"], ["-c", "-I", "prefix"], ["-V", "5", "-c"], ["-V", "5", "-x", "-1"],
        ["-V", "5", "-c", "-i", "a", "-x", "-2"],
        ["-V", "5", "-c", "-i", "a", "-x", "4294967296"], ["-V", "5", "-c", "-i", "a", "-x", "1s"],
    ])
    func `what makes no session is refused`(arguments: [String]) {
        #expect(throws: CommandFailure.self) { try session(arguments) }
    }
}

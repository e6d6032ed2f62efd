// SPDX-License-Identifier: Apache-2.0

import Testing
import Turns

@testable import Mosquitto

@Suite(.turn(.units)) struct `The opening of a session` {
    private let loop = EventLoopCore()

    private func opening(_ version: MQTTVersion, _ change: (inout MQTTClientConfiguration) -> Void = { _ in })
        -> Opening
    {
        var configuration = MQTTClientConfiguration(host: "nobody", tls: nil)
        configuration.version = version
        configuration.clientID = "c"
        configuration.keepAlive = .seconds(60)
        change(&configuration)
        return Opening(
            configuration: configuration, credentials: MQTTCredentials(username: "u", password: "p"),
            authentication: nil, loop: loop)
    }

    @Test func `composes the CONNECT of 3_1_1`() throws {
        let packet = try opening(.v3_1_1).connectPacket()
        #expect(
            packet == [0x10, 19, 0, 4, 0x4D, 0x51, 0x54, 0x54, 4, 0xC2, 0, 60, 0, 1, 0x63, 0, 1, 0x75, 0, 1, 0x70])
    }

    @Test func `composes the CONNECT of 5_0, with its properties and a will`() throws {
        let packet = try opening(.v5_0) {
            $0.receiving.receiveMaximum = 258
            $0.receiving.maximumPacketSize = 65_536
            $0.connect.userProperties = [MQTTUserProperty("k", "v")]
            $0.will = MQTTWill(topic: "w", payload: "x")
        }.connectPacket()
        let properties: [UInt8] = [18, 0x21, 1, 2, 0x27, 0, 1, 0, 0, 0x22, 0, 64, 0x26, 0, 1, 0x6B, 0, 1, 0x76]
        let will: [UInt8] = [0, 0, 1, 0x77, 0, 1, 0x78]
        let body: [UInt8] =
            [0, 4, 0x4D, 0x51, 0x54, 0x54, 5, 0xCE, 0, 60] + properties + [0, 1, 0x63] + will
            + [0, 1, 0x75, 0, 1, 0x70]
        #expect(packet == Sample.packet(0x10, body))
    }

    /// libmosquitto gets a placeholder of the same length, since it does not overwrite what it frees.
    @Test(
        arguments: MQTTVersion.allCases,
        [
            [], [0xFF], Array("xx".utf8), [UInt8](repeating: 0xC3, count: 300), [UInt8](repeating: 0x41, count: 65_535),
        ] as [[UInt8]])
    func `ends CONNECT with the password, of any bytes`(version: MQTTVersion, password: [UInt8]) throws {
        var configuration = MQTTClientConfiguration(host: "nobody", tls: nil)
        configuration.version = version
        let credentials = MQTTCredentials(username: "u", password: MQTTSecret(bytes: password))
        let packet = try Opening(
            configuration: configuration, credentials: credentials, authentication: nil, loop: loop
        ).connectPacket()
        let end: [UInt8] = [0, 1, 0x75, UInt8(password.count >> 8), UInt8(password.count & 0xFF)] + password
        #expect(packet.suffix(end.count).elementsEqual(end))
    }

    @Test func `allows no topic alias if the maximum is 0`() throws {
        let packet = try opening(.v5_0) { $0.receiving.topicAliasMaximum = 0 }.connectPacket()
        #expect(Array(packet[12...17]) == [8, 0x21, 0xFF, 0xFF, 0x27, 1])
    }

    @Test func `composes a CONNECT that no socket takes at once`() throws {
        let value = String(repeating: "v", count: 60_000)
        let packet = try opening(.v5_0) {
            $0.connect.userProperties = (0..<20).map { _ in MQTTUserProperty("k", value) }
        }.connectPacket()
        #expect(packet.count > 1_200_000)
        #expect(packet.count { $0 == 0x76 } == 1_200_000)
    }

    @Test(arguments: MQTTVersion.allCases)
    func `judges an acceptance`(version: MQTTVersion) throws {
        var connack = Connack(code: 0, sessionPresent: true)
        if version == .v5_0 { connack.beginProperties() }
        let judged = try opening(version) { $0.session = .persistent(expiry: .seconds(60)) }.judge(connack).get()
        #expect(judged == connack)
    }

    @Test(arguments: MQTTVersion.allCases)
    func `judges every refusal by its code, and by nothing else`(version: MQTTVersion) {
        let codes: [UInt8] = version == .v5_0 ? [0x80, 0x87, 0x88, 0x8A, 0x97, 0x9C, 0x9F, 0xFF] : [1, 2, 3, 4, 5, 6]
        for code in codes {
            var connack = Connack(code: code)
            if version == .v5_0 { connack.beginProperties() }
            let error = #expect(throws: MQTTError.self) { try opening(version).judge(connack).get() }
            #expect(error?.rawReasonCode == code)
            #expect([.refused, .notAuthorized].contains(error?.code))
            #expect(error?.libraryCode == nil)
        }
    }

    @Test func `judges a CONNACK that no socket takes at once`() throws {
        var connack = Connack(code: 0)
        connack.beginProperties()
        // The decoder accepts no such CONNACK.
        let property = Sample.string("k") + [0xEA, 0x60] + [UInt8](repeating: 0x76, count: 60_000)
        for _ in 0..<20 { property.withUnsafeBytes { connack.read(0x26, $0) } }
        #expect(try opening(.v5_0).judge(connack).get().properties.userProperties.count == 20)
    }

    @Test func `is as good over a port of the loopback interface`() throws {
        let listener = try loop.replaceLocalListener()
        #expect(listener.port > 0)
        #expect(try opening(.v5_0).connectPacket().first == 0x10)
        var connack = Connack(code: 0x87)
        connack.beginProperties()
        #expect(throws: MQTTError.self) { try opening(.v5_0).judge(connack).get() }
    }

    @Test func `a value that libmosquitto does not take is an error`() {
        let error = #expect(throws: MQTTError.self) {
            try opening(.v5_0) { $0.connect.userProperties = [MQTTUserProperty("a\0", "")] }.connectPacket()
        }
        #expect(error?.code == .invalidProperty)
    }
}

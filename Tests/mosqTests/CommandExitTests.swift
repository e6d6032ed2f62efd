// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import Testing
import Turns

@testable import mosq

@Suite("Exit status", .turn(.command))
struct CommandExitTests {
    private func status(
        _ code: MQTTError.Code, _ phase: MQTTError.Phase?, raw: UInt8? = nil, errno: Int32? = nil,
        _ behavior: CommandBehavior = .publish, isReference: Bool = true
    ) -> CommandExit {
        var error = MQTTError(code, "what happened", phase: phase)
        error.rawReasonCode = raw
        error.reasonCode = raw.map { MQTTReasonCode(rawValue: $0) }
        error.systemCode = errno
        return CommandExit(error, in: behavior, isReference: isReference)
    }

    @Test(arguments: [
        (UInt8(1), "unacceptable protocol version."), (2, "identifier rejected."), (3, "broker unavailable."),
        (4, "bad user name or password."), (5, "not authorised."), (6, "unknown reason."),
    ])
    func `a refusal of MQTT 3 1 1 is the return code`(code: UInt8, text: String) {
        let status = status(.refused, .connack, raw: code)
        #expect(status.code == Int32(code))
        #expect(
            status.lines == ["Connection error: Connection Refused: \(text)", "Error: The connection was refused."])
        #expect(self.status(.refused, .connack, raw: code, .subscribe).lines.count == 1)
    }

    @Test func `a refusal of MQTT 5 0 is the reason code`() {
        let pub = status(.notAuthorized, .connack, raw: 0x87)
        #expect(pub.code == 135)
        #expect(
            pub.lines == [
                "Connection error: Not authorized",
                "Error: A network protocol error occurred when communicating with the broker.",
            ])
        #expect(status(.notAuthorized, .connack, raw: 0x87, .subscribe).lines == ["Connection error: Not authorized"])
        #expect(status(.refused, .connack, raw: 0xF0, .subscribe).lines == ["Connection error: Unknown reason"])
        #expect(
            status(.refused, .connack, raw: 0x84, .subscribe).lines == [
                "Connection error: Unsupported Protocol Version. Try connecting to an MQTT v5 broker, or use MQTT v3.x mode."
            ])
    }

    @Test func `what libmosquitto numbers has its number`() {
        #expect(status(.closed, .connected).code == 7)
        #expect(status(.closed, .connected).lines == ["Error: The connection was lost."])
        #expect(status(.closed, .connack).code == 7)
        #expect(status(.closed, .tlsHandshake).code == 8)
        #expect(status(.closed, .tlsHandshake).lines == ["Error: A TLS error occurred."])
        #expect(status(.protocolViolation, .connected).code == 2)
    }

    @Test func `what ends mosquitto_connect is 1`() {
        #expect(status(.connectionRefused, .connect).code == 1)
        #expect(status(.connectionRefused, .connect).lines == ["Error: Connection refused"])
        #expect(status(.dns, .resolve).code == 1)
        #expect(status(.dns, .resolve).lines == ["Unable to connect (Lookup error.)."])
        #expect(status(.tlsVerification, .tlsHandshake).code == 1)
        #expect(
            status(.tlsVerification, .tlsHandshake).lines == [
                "Unable to connect (A TLS error occurred.).", "what happened",
            ])
        #expect(status(.credentials, .credentials).lines == ["Error: what happened"])
    }

    @Test func `who asked for more gets this library's words in one line, with the same status`() {
        let status = status(.notAuthorized, .connack, raw: 5, isReference: false)
        #expect(status.code == 5)
        #expect(status.lines == ["Error: what happened"])
    }
}

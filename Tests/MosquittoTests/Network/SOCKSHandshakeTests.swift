// SPDX-License-Identifier: Apache-2.0

import Testing
import Turns

@testable import Mosquitto

@Suite("SOCKS handshake", .turn(.units))
struct SOCKSHandshakeTests {
    private func handshake(_ user: (String, MQTTSecret?)? = nil) -> SOCKSHandshake {
        let proxy = MQTTProxy(host: "proxy", username: user?.0, password: user?.1)
        return SOCKSHandshake(proxy, to: MQTTEndpoint(host: "b.c", port: 0x1234))
    }

    private let request: [UInt8] = [5, 1, 0, 3, 3] + Array("b.c".utf8) + [0x12, 0x34]

    @Test func `without a name: greeting, request, and a reply that is read to its end`() throws {
        var handshake = handshake()
        #expect(handshake.greeting == [5, 1, 0])
        #expect(handshake.needed == 2)
        #expect(try handshake.receive([5]) == nil)
        #expect(handshake.needed == 1)
        #expect(try handshake.receive([0]) == request)
        #expect(handshake.needed == 5)
        #expect(try handshake.receive([5, 0, 0, 1, 9]) == nil)
        #expect(handshake.needed == 5)
        #expect(try handshake.receive([9, 9, 9, 0, 1]) == nil)
        #expect(handshake.needed == 0)
    }

    @Test func `with a name and a password`() throws {
        var handshake = handshake(("me", "pw"))
        #expect(handshake.greeting == [5, 1, 2])
        #expect(try handshake.receive([5, 2]) == [1, 2] + Array("me".utf8) + [2] + Array("pw".utf8))
        #expect(try handshake.receive([1, 0]) == request)
        #expect(try handshake.receive([5, 0, 0, 3, 2]) == nil)
        #expect(handshake.needed == 4)
        #expect(try handshake.receive([1, 2, 3, 4]) == nil)
        #expect(handshake.needed == 0)
    }

    @Test func `without a password it is empty`() throws {
        var handshake = handshake(("me", nil))
        #expect(try handshake.receive([5, 2]) == [1, 2] + Array("me".utf8) + [0])
    }

    @Test func `an IPv6 address is longer`() throws {
        var handshake = handshake()
        _ = try handshake.receive([5, 0])
        _ = try handshake.receive([5, 0, 0, 4, 1])
        #expect(handshake.needed == 17)
    }

    @Test(
        arguments: [
            ([[4, 0]], "it is no SOCKS5 proxy"), ([[5, 0xFF]], "the proxy demands a user name"),
            ([[5, 2]], "the proxy demands a user name"),
            ([[5, 0], [5, 5, 0, 1, 0]], "the proxy could not connect: connection refused"),
            ([[5, 0], [5, 99, 0, 1, 0]], "the proxy could not connect: unknown reason"),
            ([[5, 0], [4, 0, 0, 1, 0]], "it is no SOCKS5 proxy"),
            ([[5, 0], [5, 0, 0, 2, 0]], "it is no SOCKS5 proxy"),
        ] as [([[UInt8]], String)])
    func `what ends it has a reason`(answers: [[UInt8]], message: String) throws {
        var handshake = handshake()
        let error = #expect(throws: MQTTError.self) {
            for answer in answers { _ = try handshake.receive(answer) }
        }
        #expect(error?.code == .proxy)
        #expect(error?.phase == .connect)
        #expect(error?.message == message)
    }

    @Test func `a refused password, and a proxy that wants none`() throws {
        var refused = handshake(("me", "pw"))
        _ = try refused.receive([5, 2])
        #expect(throws: MQTTError.self) { try refused.receive([1, 1]) }
        var unwanted = handshake(("me", "pw"))
        #expect(throws: MQTTError.self) { try unwanted.receive([5, 0xFF]) }
    }

    @Test(arguments: [
        MQTTProxy(host: ""), MQTTProxy(host: "p", port: 0), MQTTProxy(host: "p", username: ""),
        MQTTProxy(host: "p", password: "x"),
        MQTTProxy(host: "p", username: String(repeating: "u", count: 256)),
        MQTTProxy(host: "p", username: "u", password: MQTTSecret(String(repeating: "p", count: 256))),
    ])
    func `a proxy that cannot be is refused before any connection`(proxy: MQTTProxy) {
        var configuration = MQTTClientConfiguration(host: "b")
        configuration.connection.proxy = proxy
        let error = #expect(throws: MQTTError.self) { try configuration.validate() }
        #expect(error?.code == .invalidConfiguration)
        #expect(error?.message.contains("proxy") == true)
    }
}

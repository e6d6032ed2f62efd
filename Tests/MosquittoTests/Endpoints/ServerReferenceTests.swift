// SPDX-License-Identifier: Apache-2.0

import Testing
import Turns

@testable import Mosquitto

@Suite(.turn(.units)) struct `A Server Reference` {
    private func endpoints(_ reference: String) -> [String] {
        MQTTEndpoint(host: "broker", port: 8_883).endpoints(of: reference).map(\.description)
    }

    @Test(arguments: [
        ("broker.example.com", "broker.example.com:8883"), ("broker.example.com:1883", "broker.example.com:1883"),
        ("192.0.2.7", "192.0.2.7:8883"), ("192.0.2.7:1", "192.0.2.7:1"), ("[2001:db8::1]", "[2001:db8::1]:8883"),
        ("[2001:db8::1]:65535", "[2001:db8::1]:65535"), ("2001:db8::1", "[2001:db8::1]:8883"),
        ("::1", "[::1]:8883"), ("Broker.", "Broker.:8883"),
    ])
    func `is a name or an address, with or without a port`(reference: String, endpoint: String) {
        #expect(endpoints(reference) == [endpoint])
    }

    @Test func `may have several, separated by spaces`() {
        #expect(endpoints("a:1 b [::1]:2") == ["a:1", "b:8883", "[::1]:2"])
        #expect(endpoints("  a   b  ") == ["a:8883", "b:8883"])
    }

    @Test(arguments: [
        "", " ", ":", ":1883", "a:", "a:x", "a:0", "a:65536", "a:-1", "a:99999999999999999999", "[", "[]", "[]:1",
        "[::1", "[::1]1883", "[::1]x:1", "[::1]:", "[::1]:x", "a/b", "a\tb", "a\nb", "a\0", "a@b", "user@a:1", "\"a\"",
        "a?b", "a#b",
    ])
    func `that is nonsense is none`(reference: String) { #expect(endpoints(reference) == []) }

    @Test(arguments: ["mqtt://a", "mqtts://a:8883", "tcp://a:1", "ssl://[::1]:1", "http://a/b"])
    func `with a scheme is none`(reference: String) { #expect(endpoints(reference) == []) }

    @Test func `is used without the parts that are nonsense`() {
        #expect(endpoints("mqtt://a [ b:x c:1") == ["c:1"])
    }

    @Test func `never is a Unix socket`() {
        for text in ["unix:/run/a", "/run/a", "unix:a"] {
            #expect(MQTTEndpoint(host: "broker", port: 1).endpoints(of: text).allSatisfy { !$0.isUnixSocket })
        }
    }

    @Test func `without a port is none where there is no port to keep`() {
        #expect(MQTTEndpoint.unixSocket("/run/a").endpoints(of: "a b:1").map(\.description) == ["b:1"])
    }

    @Test func `of random bytes never traps, and gives only what can be dialled`() {
        var generator = JitterGenerator(seed: 3)
        let characters = Array("ab0189:[]. -/%@\u{0}é")
        for _ in 0..<20_000 {
            let length = Int.random(in: 0...24, using: &generator)
            let text = String((0..<length).map { _ in characters.randomElement(using: &generator)! })
            for endpoint in MQTTEndpoint(host: "broker", port: 1).endpoints(of: text) {
                #expect(throws: Never.self) { try endpoint.validate() }
            }
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

import Testing
import Turns

@testable import Mosquitto

@Suite("The exceptions of a proxy", .turn(.units))
struct ProxyExceptionsTests {
    private func contains(_ entry: String, _ host: String, port: Int = 8_883) -> Bool {
        ProxyExceptions([entry]).contain(MQTTEndpoint(host: host, port: port))
    }

    @Test(arguments: [
        ("*", "anything"), ("example.com", "example.com"), ("example.com", "a.b.example.com"),
        ("EXAMPLE.com.", "A.Example.Com"), (".example.com", "a.example.com"), (".example.com", "example.com"),
        ("*.example.com", "a.example.com"), ("example.com", "example.com."), ("example.com:8883", "example.com"),
        ("192.0.2.1", "192.0.2.1"), ("192.0.2.1:8883", "192.0.2.1"), ("10.0.0.0/8", "10.255.0.1"),
        ("10.128.0.0/9", "10.200.0.1"), ("0.0.0.0/0", "192.0.2.1"), ("2001:DB8::1", "2001:db8:0::1"),
        ("[2001:db8::1]:8883", "2001:db8::1"), ("[::1]", "::1"), ("2001:db8::/33", "2001:db8:7fff::1"),
        ("localhost", "localhost"), ("fe80::/10", "fe80::1%eth0"), ("fe80::1", "fe80::1%eth0"),
        ("fe80::1%eth0", "fe80::1%eth0"),
    ])
    func `an endpoint that an entry names`(entry: String, host: String) {
        #expect(contains(entry, host))
    }

    @Test(arguments: [
        ("", "example.com"), (".", "example.com"), ("example.com", "badexample.com"), ("example.com", "example.org"),
        ("a.example.com", "example.com"), ("example.com:1883", "example.com"), ("example.com:x", "example.com"),
        ("example.com:", "example.com"), ("192.0.2.1", "192.0.2.10"), ("2.1", "192.0.2.1"), ("10.0.0.0/8", "11.0.0.1"),
        ("10.128.0.0/9", "10.1.0.1"), ("10.0.0.0/33", "10.0.0.0"), ("10.0.0.0/x", "10.0.0.0"),
        ("10.0.0.0/-1", "10.0.0.0"),
        ("::/0", "192.0.2.1"), ("0.0.0.0/0", "::1"), ("2001:db8::/33", "2001:db8:8000::1"),
        ("10.0.0.0/8", "example.com"),
        ("[::1]:1883", "::1"), ("[::1", "::1"),
    ])
    func `an endpoint that it does not name`(entry: String, host: String) {
        #expect(!contains(entry, host))
    }

    @Test func `one entry of several is enough, and without entries there is no exception`() {
        let endpoint = MQTTEndpoint(host: "b.example", port: 1)
        #expect(ProxyExceptions(["a.example", "b.example"]).contain(endpoint))
        #expect(!ProxyExceptions([]).contain(endpoint))
    }
}

// SPDX-License-Identifier: Apache-2.0

import Testing
import Turns

@testable import Mosquitto

@Suite("A proxy by URL, and from the environment", .turn(.units))
struct ProxyURLTests {
    @Test(arguments: [
        ("http://proxy", MQTTProxy.Kind.http, "proxy", 80), ("HTTP://proxy:3128/", .http, "proxy", 3_128),
        ("socks5://proxy", .socks5, "proxy", 1_080), ("socks5h://192.0.2.1:9", .socks5, "192.0.2.1", 9),
        ("https://proxy", .https, "proxy", 443), ("HTTPS://me@proxy:3129", .https, "proxy", 3_129),
        ("http://[2001:db8::1]:8080", .http, "2001:db8::1", 8_080), ("http://[::1]", .http, "::1", 80),
    ])
    func `a URL has a scheme, a host and perhaps a port`(
        url: String, kind: MQTTProxy.Kind, host: String, port: Int
    ) throws {
        let proxy = try MQTTProxy(url: url)
        #expect(proxy.kind == kind && proxy.host == host && proxy.port == port)
        #expect(proxy.username == (url.contains("me@") ? "me" : nil) && proxy.password == nil)
    }

    @Test(arguments: [
        ("http://me:pw@p", "me", "pw"), ("http://me@p", "me", nil), ("http://a%40b:%3A%2f%25@p", "a@b", ":/%"),
        ("http://me:a:b@p", "me", "a:b"), ("http://me:p@w@p", "me", "p@w"), ("socks5://me:@p", "me", ""),
        ("http://%C3%A4:x@p", "ä", "x"),
    ])
    func `user name and password are decoded`(url: String, username: String, password: String?) throws {
        let proxy = try MQTTProxy(url: url)
        #expect(proxy.username == username)
        #expect(proxy.password?.text == password)
    }

    @Test(arguments: [
        "proxy", "http://", "http://:80", "http://p:", "http://p:x", "http://p:0", "http://p:65536", "http://p:+1",
        "http://hidden:hidden@p/path", "http://hidden:hidden/@p", "http://hid%zz:hidden@p", "http://hidden:%FF@p",
        "http://@p", "http://[::1", "http://[::1]x", "ftp://hidden@p", "https://hidden@p/path", "http://a%3Ahidden:x@p",
        "http://p?hidden", "http://hidden:x@p#",
    ])
    func `a mistake is named, and the URL never shown`(url: String) {
        let error = #expect(throws: MQTTError.self) { try MQTTProxy(url: url) }
        #expect(error?.code == (url.hasPrefix("ftp") ? .unsupported : .invalidConfiguration))
        #expect(error.map { "\($0)".contains("hidden") } == false, "\(error.map { "\($0)" } ?? "")")
    }

    @Test(
        arguments: [
            ([:], nil), (["HTTPS_PROXY": ""], nil), (["HTTP_PROXY": "http://h"], nil),
            (["HTTPS_PROXY": "http://upper:1"], "upper"),
            (["HTTPS_PROXY": "http://upper:1", "https_proxy": "http://lower:1"], "lower"),
            (["ALL_PROXY": "socks5h://all"], "all"), (["all_proxy": "all:1", "ALL_PROXY": "http://x"], "all"),
            (["https_proxy": "", "ALL_PROXY": "all"], "all"),
            (["ALL_PROXY": "http://all", "HTTPS_PROXY": "http://first"], "first"),
            (["https_proxy": "https://secure:3129"], "secure"),
        ] as [([String: String], String?)])
    func `the first variable that is not empty names the proxy`(
        environment: [String: String], host: String?
    ) throws {
        #expect(try MQTTProxy.fromEnvironment(environment)?.host == host)
    }

    @Test func `without a scheme the proxy speaks HTTP, and exceptions come from NO_PROXY`() throws {
        let proxy = try #require(
            try MQTTProxy.fromEnvironment([
                "HTTPS_PROXY": "me:pw@proxy:3128", "NO_PROXY": "a.example, b.example\t10.0.0.0/8", "no_proxy": "",
            ]))
        #expect(proxy.kind == .http && proxy.port == 3_128 && proxy.username == "me")
        #expect(proxy.exceptions == ["a.example", "b.example", "10.0.0.0/8"])
        #expect(!proxy.serves(MQTTEndpoint(host: "a.example", port: 1)))
        #expect(proxy.serves(MQTTEndpoint(host: "c.example", port: 1)))
        #expect(!proxy.serves(.unixSocket("/run/mqtt")))
        #expect(
            try MQTTProxy.fromEnvironment(["ALL_PROXY": "p", "NO_PROXY": "upper", "no_proxy": "lower"])?.exceptions
                == ["lower"])
    }

    @Test func `a variable that cannot be used is named, and not shown`() {
        let error = #expect(throws: MQTTError.self) {
            try MQTTProxy.fromEnvironment(["all_proxy": "http://hidden:hidden@p:x"])
        }
        #expect(error?.message.contains("all_proxy") == true)
        #expect(error?.message.contains("hidden") == false)
    }
}

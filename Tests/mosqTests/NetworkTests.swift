// SPDX-License-Identifier: Apache-2.0

import MosquittoTesting
import Testing
import Turns

@Suite("The way to the broker", .turn(.command), .timeLimit(.minutes(1)))
struct NetworkTests {
    private func publish(_ port: Int, _ arguments: String...) async throws -> MosqResult {
        try await MosqProcess(["pub", "-p", "\(port)", "-t", "a", "-m", "x", "-q", "1"] + arguments).result()
    }

    @Test func `through a proxy, which resolves the broker's name`() async throws {
        let broker = try await ScriptedBroker.start()
        let proxy = try SOCKSProxy()
        let result = try await publish(
            broker.port, "-h", "broker.invalid", "--proxy", "socks5h://127.0.0.1:\(proxy.port)")
        #expect(result.status == 0)
        #expect(result.errors == "")
        #expect(broker.publishes.count == 1)
        #expect(proxy.request == .init(host: "broker.invalid", port: broker.port))
        await broker.stop()
    }

    @Test func `with TLS through a proxy that asks for a name`() async throws {
        let authority = try TestCertificateAuthority()
        let folder = try TemporaryDirectory()
        let cafile = try folder.write(authority.certificatePEM, to: "ca.pem")
        let broker = try await ScriptedBroker.start(tls: try authority.serverIdentity())
        let proxy = try SOCKSProxy(user: ("me", "a:b@c"))
        let result = try await publish(
            broker.port, "-h", "localhost", "--cafile", cafile, "--proxy",
            "socks5h://me:a%3ab%40c@127.0.0.1:\(proxy.port)")
        #expect(result.status == 0)
        #expect(result.errors == "")
        #expect(proxy.request == .init(username: "me", password: "a:b@c", host: "localhost", port: broker.port))
        await broker.stop()
    }

    @Test(arguments: [
        (UInt8(2), "the proxy could not connect: not allowed by its rules"),
        (5, "the proxy could not connect: connection refused"),
    ])
    func `a proxy that refuses is status 16`(code: UInt8, text: String) async throws {
        let proxy = try SOCKSProxy(.refuse(code))
        let result = try await publish(1_883, "-h", "b", "--proxy", "socks5h://127.0.0.1:\(proxy.port)")
        #expect(result.status == 16)
        #expect(result.errors == "Error: Proxy error.\n\(text) [b:1883]\n")
    }

    @Test func `so is one that wants another password`() async throws {
        let proxy = try SOCKSProxy(user: ("me", "right"))
        let result = try await publish(1_883, "--proxy", "socks5h://me:wrong@127.0.0.1:\(proxy.port)")
        #expect(result.status == 16)
        #expect(result.errors.contains("the proxy refused user name and password"))
    }

    @Test func `a proxy that is not there is a refused connection`() async throws {
        let result = try await publish(1_883, "--proxy", "socks5h://127.0.0.1:\(try freePort())")
        #expect(result.status == 1)
        #expect(result.errors == "Error: Connection refused\n")
    }

    @Test(arguments: [ConnectionScript.closeOnAccept, .resetOnAccept])
    func `one that closes is a lost connection`(script: ConnectionScript) async throws {
        let broker = try await ScriptedBroker.start(script: [script])
        let result = try await publish(1_883, "--proxy", "socks5h://127.0.0.1:\(broker.port)")
        #expect(result.status == 7)
        #expect(result.errors == "Error: The connection was lost.\n")
        await broker.stop()
    }

    @Test func `what is no proxy is told from one`() async throws {
        let broker = try await ScriptedBroker.start(script: [.raw(Array("HTTP/1.1 400\r\n".utf8))])
        let result = try await publish(1_883, "--proxy", "socks5h://127.0.0.1:\(broker.port)")
        #expect(result.status == 16)
        #expect(result.errors.contains("it is no SOCKS5 proxy"))
        await broker.stop()
    }

    @Test func `through an HTTP proxy, by its URL or from the environment`() async throws {
        let broker = try await ScriptedBroker.start()
        // "me:a:b@c"
        let proxy = try await ScriptedHTTPProxy.start(authorization: "Basic bWU6YTpiQGM=")
        let url = "http://me:a%3ab%40c@127.0.0.1:\(proxy.port)"
        let result = try await publish(broker.port, "-h", "broker.invalid", "--proxy", url)
        #expect(result.status == 0)
        #expect(result.errors == "")
        let arguments = ["pub", "-p", "\(broker.port)", "-t", "a", "-m", "x", "-q", "1", "--proxy", "environment"]
        let through = try await MosqProcess(
            arguments + ["-h", "broker.invalid"], environment: ["HTTPS_PROXY": url, "NO_PROXY": "127.0.0.1"]
        ).result()
        #expect(through.status == 0 && through.errors == "")
        let around = try await MosqProcess(
            arguments + ["-h", "127.0.0.1"], environment: ["ALL_PROXY": url, "NO_PROXY": "127.0.0.1"]
        ).result()
        #expect(around.status == 0 && around.errors == "")
        #expect(broker.publishes.count == 3)
        #expect(proxy.requests.map(\.target) == Array(repeating: "broker.invalid:\(broker.port)", count: 2))
        await proxy.stop()
        await broker.stop()
    }

    @Test func `an HTTP proxy that refuses is status 16, with what it answered, and without the password`() async throws
    {
        let proxy = try await ScriptedHTTPProxy.start(authorization: "x")
        let url = "http://me:hidden@127.0.0.1:\(proxy.port)"
        let result = try await publish(1_883, "-h", "b", "--proxy", url)
        #expect(result.status == 16)
        #expect(
            result.errors
                == "Error: Proxy error.\nthe proxy does not accept the user name and password "
                + "(407 Proxy Authentication Required); it offers Basic [b:1883]\n")
        await proxy.stop()
    }

    @Test func `from an address of this machine`() async throws {
        let broker = try await ScriptedBroker.start()
        #expect(try await publish(broker.port, "-h", "127.0.0.1", "-A", "127.0.0.1").status == 0)
        // One that is not this machine's (RFC 5737).
        let wrong = try await publish(broker.port, "-h", "127.0.0.1", "-A", "192.0.2.1")
        #expect(wrong.status == 1)
        #expect(wrong.errors.hasPrefix("Error: "))
        await broker.stop()
    }
}

import Testing

@testable import Mosquitto

@Suite struct `The dialer, before it connects` {
    private func dialer(
        _ change: (inout MQTTClientConfiguration) -> Void = { _ in },
        resolve: @escaping @Sendable (String) async -> Resolver.Answer = { _ in .failure(MQTTError(.dns, "asked")) }
    ) -> Dialer {
        var configuration = MQTTClientConfiguration(host: "broker")
        change(&configuration)
        return Dialer(configuration, loop: MosquittoEventLoop.shared.core, logger: quiet, resolve: resolve)
    }

    private func addresses(_ dialer: inout Dialer, _ endpoint: MQTTEndpoint) async throws(MQTTError) -> [String] {
        let preparation = dialer.prepare(endpoint)
        return try dialer.take(await preparation.run())
    }

    @Test func `asks for the addresses of a name`() async throws {
        var dialer = dialer(resolve: { name in .success([name, "192.0.2.1"]) })
        let addresses = try await addresses(&dialer, MQTTEndpoint(host: "broker", port: 1_883))
        #expect(addresses == ["broker", "192.0.2.1"])
    }

    @Test func `asks nobody for a numeric address, nor for a socket in the file system`() async throws {
        var dialer = dialer()
        let numeric = try await addresses(&dialer, MQTTEndpoint(host: "192.0.2.1", port: 1_883))
        let path = try await addresses(&dialer, .unixSocket("/run/mqtt"))
        #expect(numeric == ["192.0.2.1"] && path == ["/run/mqtt"])
    }

    @Test func `leaves the broker's name to a proxy`() async throws {
        var dialer = dialer { $0.connection.proxy = MQTTProxy(host: "192.0.2.9", port: 1_080) }
        let addresses = try await addresses(&dialer, MQTTEndpoint(host: "broker", port: 1_883))
        #expect(addresses == ["192.0.2.9"])
    }

    @Test func `passes on that a name has no address`() async {
        var dialer = dialer()
        do throws(MQTTError) {
            _ = try await addresses(&dialer, MQTTEndpoint(host: "broker", port: 1_883))
            Issue.record("there were addresses")
        } catch {
            #expect(error.code == .dns)
        }
    }

    @Test func `numbers attempts and their ends, so that what comes late is known`() {
        var dialer = dialer()
        let first = dialer.prepare(MQTTEndpoint(host: "broker", port: 1_883))
        #expect(first.attempt == dialer.attempt)
        dialer.cancel()
        #expect(first.attempt != dialer.attempt)
        let second = dialer.prepare(MQTTEndpoint(host: "broker", port: 1_883))
        #expect(second.attempt == dialer.attempt && second.attempt > first.attempt)
        #expect(dialer.stagger == nil)
    }
}

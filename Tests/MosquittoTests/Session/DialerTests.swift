// SPDX-License-Identifier: Apache-2.0

import Testing
import Turns

@testable import Mosquitto

@Suite(.turn(.units)) struct `The dialer, before it connects` {
    private func dialer(
        _ change: (inout MQTTClientConfiguration) -> Void = { _ in },
        resolve: @escaping @Sendable (String) async -> Resolver.Answer = { _ in .failure(MQTTError(.dns, "asked")) }
    ) -> Dialer {
        var configuration = MQTTClientConfiguration(host: "broker")
        change(&configuration)
        return Dialer(configuration, loop: MosquittoEventLoop.shared.core, logger: quiet, resolve: resolve)
    }

    private func addresses(_ dialer: inout Dialer, _ endpoint: MQTTEndpoint) async throws(MQTTError) -> [String] {
        let preparation = dialer.prepare(MQTTConnectAttempt(endpoint: endpoint))
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

    @Test func `goes around a proxy for its exceptions`() async throws {
        var dialer = dialer(
            {
                $0.connection.proxy = MQTTProxy(host: "192.0.2.9", port: 1_080)
                $0.connection.proxy?.exceptions = ["192.0.2.0/28"]
            })
        let near = try await addresses(&dialer, MQTTEndpoint(host: "192.0.2.1", port: 1_883))
        let far = try await addresses(&dialer, MQTTEndpoint(host: "192.0.2.77", port: 1_883))
        #expect(near == ["192.0.2.1"] && far == ["192.0.2.9"])
    }

    private func failure(
        limit: Duration = .seconds(60),
        _ authorization: @escaping @Sendable (MQTTConnectAttempt) async throws -> MQTTSecret
    ) async -> MQTTError? {
        var dialer = dialer {
            $0.connection.proxy = .http(host: "192.0.2.9", port: 3_128, authorization: authorization)
            $0.timeouts.credentials = limit
        }
        do throws(MQTTError) {
            _ = try await addresses(&dialer, MQTTEndpoint(host: "broker", port: 1_883))
            return nil
        } catch { return error }
    }

    @Test func `asks for the proxy's authorization, with the circumstances`() async throws {
        let failure = await failure { attempt in
            attempt.endpoint.host == "broker" ? "Bearer x" : ""
        }
        #expect(failure == nil)
    }

    @Test func `an authorization that fails, cannot be sent or is late fails the attempt`() async {
        struct Hidden: Error { let secret = "hidden" }
        let failed = await failure { _ in throw Hidden() }
        #expect(failed?.code == .credentials)
        #expect(failed?.message == "the proxy's authorization failed with Hidden")
        let permanent = await failure { _ in throw MQTTCredentialError.permanent("gone") }
        #expect(permanent?.code == .credentials && permanent?.message == "gone")
        let smuggled = await failure { _ in "hidden\r\nX: y" }
        #expect(smuggled?.code == .credentials && smuggled?.message.contains("hidden") == false)
        let late = await failure(limit: .milliseconds(10)) { _ in
            try await Task.sleep(for: .seconds(600))
            return "x"
        }
        #expect(late?.code == .credentials && late?.message.contains("longer than") == true)
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
        let attempt = MQTTConnectAttempt(endpoint: MQTTEndpoint(host: "broker", port: 1_883))
        let first = dialer.prepare(attempt)
        #expect(first.attempt == dialer.attempt)
        dialer.cancel()
        #expect(first.attempt != dialer.attempt)
        let second = dialer.prepare(attempt)
        #expect(second.attempt == dialer.attempt && second.attempt > first.attempt)
        #expect(dialer.stagger == nil)
    }
}

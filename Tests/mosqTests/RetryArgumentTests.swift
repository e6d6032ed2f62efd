// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Mosquitto
import MosquittoTesting
import Testing
import Turns

@testable import mosq

@Suite("Retry and credential arguments", .turn(.arguments))
struct RetryArgumentTests {
    private func configuration(_ arguments: String...) throws -> MQTTClientConfiguration {
        try ConnectionOptions.read(arguments).configuration(.publish)
    }

    @Test func `retry is the production policy, with the given bounds`() throws {
        let plain = try configuration("--retry").retry
        #expect(plain.baseDelay == .seconds(1))
        #expect(plain.maximumDelay == .seconds(120))
        #expect(plain.resetAfter == .seconds(30))
        #expect(plain.limit == .forever)
        let failure = MQTTFailure(
            error: MQTTError(.connectionRefused, "", phase: .connect), attempt: 1, isInitial: true)
        #expect(plain.decide(failure) == .retry(.standard))

        let bounded = try configuration(
            "--retry", "--retry-limit", "3", "--retry-base-delay", "0.05", "--retry-max-delay", "0.2",
            "--retry-reset-after", "0", "--retry-seed", "7", "--connect-timeout", "2.5")
        #expect(bounded.retry.baseDelay == .milliseconds(50))
        #expect(bounded.retry.maximumDelay == .milliseconds(200))
        #expect(bounded.retry.resetAfter == .zero)
        #expect(bounded.retry.limit == .attempts(3))
        #expect(bounded.retry.seed == 7)
        #expect(bounded.timeouts.attempt == .milliseconds(2_500))
        #expect(bounded.timeouts.connack == .milliseconds(2_500))
    }

    @Test func `one bound may be outside of the other's default`() throws {
        #expect(try configuration("--retry", "--retry-max-delay", "0.5").retry.baseDelay == .milliseconds(500))
        #expect(try configuration("--retry", "--retry-base-delay", "200").retry.maximumDelay == .seconds(200))
    }

    @Test(arguments: [
        ["--retry-limit", "3"], ["--retry-base-delay", "1"], ["--retry-max-delay", "1"], ["--retry-reset-after", "1"],
        ["--retry-seed", "1"], ["--token-refresh-at", "0.5"],
    ])
    func `a flag that would do nothing is refused`(arguments: [String]) {
        #expect(throws: CommandFailure.self) { try ConnectionOptions.read(arguments).configuration(.publish) }
    }

    @Test(arguments: ["nan", "inf", "-1", "0", "1e300", "-inf"])
    func `a number of seconds that is none does not trap`(number: String) {
        for flag in ["--retry-base-delay", "--retry-max-delay", "--connect-timeout"] {
            #expect(throws: CommandFailure.self) {
                try ConnectionOptions.read(["--retry", flag, number]).configuration(.publish)
            }
        }
    }

    @Test func `bounds that contradict each other are refused`() {
        #expect(throws: CommandFailure.self) {
            try configuration("--retry", "--retry-base-delay", "2", "--retry-max-delay", "1")
        }
        #expect(throws: CommandFailure.self) { try configuration("--retry", "--retry-limit", "0") }
    }

    @Test func `a token file is the password of a user`() async throws {
        let folder = try TemporaryDirectory()
        let path = try folder.write("secret\n", to: "token")
        let configuration = try configuration("-u", "dev1", "--token-file", path, "--token-refresh-at", "0.5")
        let provider = try #require(configuration.credentials)
        #expect(provider.source == "file")
        #expect(configuration.rotation.refreshAt == 0.5)
        #expect(throws: CommandFailure.self) { try self.configuration("-u", "a", "-P", "b", "--token-file", path) }
        for fraction in ["0", "1", "nan"] {
            #expect(throws: CommandFailure.self) {
                try self.configuration("--token-file", path, "--token-refresh-at", fraction)
            }
        }
    }

    @Test func `more endpoints follow the first one`() throws {
        let configuration = try configuration(
            "-h", "a", "-p", "1", "--endpoint", "b:2", "--endpoint", "[fe80::1%lo]:3", "--endpoint", "192.0.2.1:4")
        #expect(
            configuration.endpoints == [
                MQTTEndpoint(host: "a", port: 1), MQTTEndpoint(host: "b", port: 2),
                MQTTEndpoint(host: "fe80::1%lo", port: 3), MQTTEndpoint(host: "192.0.2.1", port: 4),
            ])
    }

    @Test(arguments: ["b", "b:", "b:x", ":1", "b:0", "b:65536", "::1:1", "[::1]1", "a b:1", "mqtts://b:1"])
    func `an endpoint that is none is refused`(endpoint: String) {
        #expect(throws: CommandFailure.self) { try configuration("--endpoint", endpoint) }
    }

    @Test func `redirections are followed as far as is said`() throws {
        #expect(try configuration().connection.redirects == .none)
        #expect(try configuration("--redirect", "none").connection.redirects == .none)
        #expect(try configuration("--redirect", "listed").connection.redirects == .listed)
        #expect(try configuration("--redirect", "any", "--tls-use-os-certs").connection.redirects == .any)
        // Anybody on the way could redirect to himself and read the password.
        #expect(throws: CommandFailure.self) { try configuration("--redirect", "any") }
        #expect(throws: CommandFailure.self) { try configuration("--redirect", "some") }
    }
}

// SPDX-License-Identifier: Apache-2.0

import Foundation
import Mosquitto
import MosquittoTesting
import Synchronization

extension PromiseLane {
    /// An issuer that does not answer must not lock out a client with a valid token.
    static let hangingProvider = PromiseLane(
        name: "hanging-provider",
        statement:
            "A provider that hangs, cancelled or not, and a token for an hour: after a reset its client is connected with the "
            + "held token within the provider's deadline and 2 s, and after the next reset without that wait."
    ) { run in
        try await run.withBroker { broker in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for heedsCancellation in [true, false] {
                    group.addTask { try await HangingProvider(run, broker, heedsCancellation: heedsCancellation).run() }
                }
                try await group.waitForAll()
            }
        }
    }
}

/// One client whose provider answers now and then.
private final class HangingProvider: MQTTCredentialProvider {
    private static let deadline = Duration.seconds(4)

    private struct State {
        var hangs = false
        var asked = 0
        /// Requests that only the lane ends.
        var stuck: [CheckedContinuation<Void, Never>] = []
    }

    private let run: LaneRun
    private let broker: LaneBroker
    private let heedsCancellation: Bool
    private let state = Mutex(State())

    init(_ run: LaneRun, _ broker: LaneBroker, heedsCancellation: Bool) {
        (self.run, self.broker, self.heedsCancellation) = (run, broker, heedsCancellation)
    }

    private var name: String { "a provider that \(heedsCancellation ? "heeds" : "ignores") its cancellation" }
    private var hangs: Bool { state.withLock { $0.hangs } }

    func credentials(for attempt: MQTTConnectAttempt) async throws -> MQTTCredentials {
        if hangs {
            if heedsCancellation {
                try await Task.sleep(for: .seconds(3_600))
            } else {
                await withCheckedContinuation { continuation in state.withLock { $0.stuck.append(continuation) } }
            }
        }
        let number = state.withLock { state in
            state.asked += 1
            return state.asked
        }
        return MQTTCredentials(
            username: "u", password: MQTTSecret("token \(number)"), expiresAt: .now.addingTimeInterval(3_600))
    }

    func run() async throws {
        let proxy = try TCPProxy(to: broker.plainPort)
        defer { proxy.stop() }
        var configuration = broker.configuration("hanging-\(heedsCancellation)", port: proxy.port)
        configuration.credentials = self
        configuration.timeouts.credentials = Self.deadline
        defer { release() }
        try await run.withClient(configuration) { client, watch in
            _ = try await client.waitUntilConnected(timeout: .seconds(30))
            repeat {
                try await run.require(within: .seconds(10) + run.slack, "\(name): connected") { watch.connections > 0 }
                state.withLock { $0.hangs = true }
                try await reset(watch, proxy, within: Self.deadline + .seconds(2) + run.slack, "the first reset")
                try await reset(watch, proxy, within: Self.deadline - .milliseconds(500), "the second reset")
                release()
                try await reset(
                    watch, proxy, within: .seconds(5) + run.slack, "a reset when the provider answers again")
            } while run.hasTime
        }
    }

    private func release() {
        let stuck = state.withLock { state in
            defer { state.stuck = [] }
            state.hangs = false
            return state.stuck
        }
        for continuation in stuck { continuation.resume() }
    }

    private func reset(
        _ watch: ClientWatch, _ proxy: TCPProxy, within limit: Duration, _ what: String
    ) async throws {
        let before = watch.connections
        let start = ContinuousClock.now
        proxy.end(.reset)
        try await run.require(within: limit, "\(name): connected with the held token after \(what)") {
            watch.connections > before
        }
        run.count("resets")
        run.count("milliseconds without a connection", Int((.now - start) / .milliseconds(1)))
    }
}
